"""Files of images and labels: IDX and npz, and what keeps arrays from being trained on."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.errors import InputError
from dtkd_opt.records.files import read_bytes

MIN_SIDE = 8  # pixels: three times halved, one is left
_MAX_PIXEL = 1e15  # their squares are summed up as float32


def read_idx(folder: Path, name: str) -> NDArray[np.uint8]:
    """The bytes of a gzipped IDX file (LeCun's MNIST format) as an array.

    Raises
    ------
    InputError
        When the file is missing, damaged or of another shape than its name says.
    """
    path = folder / f"{name}-ubyte.gz"
    if not path.exists():
        fix = "sudo apt-get install dataset-fashion-mnist, or name its folder with --data-dir"
        raise InputError(str(path), [f"no such file; {fix}"])
    try:
        data = gzip.decompress(read_bytes(path))
        rank = int(name[-1])
        zeros, kind, got, *shape = struct.unpack_from(f">HBB{rank}I", data)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise InputError(str(path), [f"is no whole gzipped IDX file: {error}"]) from None
    body = np.frombuffer(data, np.uint8, offset=4 + 4 * rank)
    if (zeros, kind, got) != (0, 8, rank) or body.size != np.prod(shape):
        raise InputError(str(path), [f"must be IDX bytes of {rank} dimensions, whole"])
    return body.reshape(shape)


def read_npz(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """The arrays `images` and `labels` of an npz file; InputError where it has none."""
    data = io.BytesIO(read_bytes(path))
    if not zipfile.is_zipfile(data):  # NumPy would speak of pickles
        raise InputError(str(path), ["is no npz file of plain arrays; write it with numpy.savez"])
    data.seek(0)
    try:
        with np.load(data, allow_pickle=False) as arrays:
            if missing := {"images", "labels"} - set(arrays):
                raise InputError(str(path), [f"{min(missing)}: is missing; must be given"])
            return arrays["images"], arrays["labels"]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, TypeError,
            AttributeError, MemoryError) as error:  # fmt: skip
        words = str(error).splitlines()[0] if str(error) else "damaged"
        raise InputError(str(path), [f"is no npz file of plain arrays: {words}"]) from None


def array_faults(images: NDArray[Any], labels: NDArray[Any]) -> list[str]:
    """The first fault that keeps arrays of images and labels from being trained on, if any."""
    return list(islice(_faults(images, labels), 1))


def _faults(images: NDArray[Any], labels: NDArray[Any]) -> Iterator[str]:
    """Faults in the order of the checks; each check holds only where those before it found none."""
    if images.ndim not in (3, 4) or images.dtype.kind not in "biuf":
        yield "images: must be numbers of shape (n, H, W) or (n, C, H, W)"
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        yield f"labels: must be {len(images)} whole numbers, one an image"
    if len(images) < 20:
        yield f"images: must be at least 20, got {len(images)}"
    if images.ndim == 4 and images.shape[3] < MIN_SIDE <= min(images.shape[1:3]):
        yield (
            f"images: must be of shape (n, C, H, W), got {images.shape}, which looks like "
            "(n, H, W, C): use images.transpose(0, 3, 1, 2)"
        )
    if min(images.shape[-2:]) < MIN_SIDE or images.shape[1] == 0:
        yield f"images: must have a channel and at least {MIN_SIDE} × {MIN_SIDE} pixels"
    if not np.isfinite(images).all():
        yield "images: must be finite numbers"
    if max(abs(float(images.max())), abs(float(images.min()))) > _MAX_PIXEL:
        yield f"images: must be numbers within ±{_MAX_PIXEL:g}"
    inside = labels.min() >= 0 and labels.max() < len(labels)
    counts = np.bincount(labels.astype(np.int64)) if inside else np.zeros(1)
    if len(counts) < 2 or counts.min() == 0:
        yield "labels: must be 0, 1, … without a gap, of two classes or more"

"""Data sets: standardised images, labels, and splits that are always the same."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.problem.physics import Index
from dtkd_opt.records.files import read_bytes
from dtkd_opt.runtime.threads import one_thread

DATA_SETS = ("digits", "fashion-mnist", "npz:FILE")
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package installs
SMALLEST_SIDE = 8  # pixels: three times halved, one is left

_LARGEST = 1e15  # of pixels, whose squares are summed up as float32
_VALIDATION = 5000  # of Fashion-MNIST; small data sets keep a tenth
_FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


@dataclass(frozen=True, eq=False)
class Scale:
    """Mean and standard deviation (1, C, 1, 1) of each channel of the training split."""

    mean: Tensor
    spread: Tensor

    def standardise(self, raw: NDArray[Any]) -> Tensor:
        """(n, C, H, W) images as they were stored → float32; some of them as all, bit for bit."""
        return torch.from_numpy(raw.astype(np.float32)).sub_(self.mean).div_(self.spread)


@dataclass(frozen=True)
class Dataset:
    """Images and labels; users and teacher train on `train`, settings are chosen on `validation`.

    `raw` (n, C, H, W) are the images as they were stored, `images` the same as float32 with mean 0
    and standard deviation 1 in each channel of the training split, by `scale`. `labels` (n,) int64
    are 0 … `classes` - 1; the splits are positions in all of them. `sha256` is over contents and
    splits.
    """

    name: str
    sha256: str
    raw: NDArray[Any]
    scale: Scale
    images: Tensor
    labels: Tensor
    train: Index
    validation: Index
    test: Index
    classes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def sample_bits(self) -> int:
        """The size of one sample as it was stored."""
        return 8 * int(self.raw[0].nbytes)


def load_data(spec: str, data_dir: Path | None = None) -> Dataset:
    """The data set that `spec` names.

    Parameters
    ----------
    spec
        `digits` (scikit-learn's own), `fashion-mnist`, or `npz:FILE` with the arrays `images`,
        (n, H, W) or (n, C, H, W), and `labels`, (n,) whole numbers from 0.
    data_dir
        Folder with the four IDX files of Fashion-MNIST; by default where Debian's package
        `dataset-fashion-mnist` installs them.

    Raises
    ------
    UsageError
        When no data set has this name, or a folder is given to another one.
    InputError
        When a file is missing, damaged or cannot be trained on.
    """
    if data_dir is not None and spec != "fashion-mnist":
        raise UsageError(f"a data folder is for fashion-mnist, not for {spec}; leave --data-dir")
    if spec == "digits":
        return _digits()
    if spec == "fashion-mnist":
        return _fashion_mnist(data_dir or FASHION_MNIST)
    if spec.startswith("npz:") and spec != "npz:":
        return _npz(spec, Path(spec.removeprefix("npz:")))
    raise UsageError(f"no data set is named {spec!r}; there are {', '.join(DATA_SETS)}")


def _digits() -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        fault = f'needs {error.name}: pip install "dtkd-opt[train]"'
        raise InputError("digits", [fault]) from None
    raw = load_digits()
    labels = np.asarray(raw.target, np.int64)
    return _dataset("digits", np.asarray(raw.images, np.uint8), labels, _split(len(labels)))


def _fashion_mnist(folder: Path) -> Dataset:
    images, labels, more_images, more_labels = (_idx(folder, name) for name in _FILES)
    if images.shape[1:] != more_images.shape[1:]:
        raise InputError(str(folder), ["training and test images must have one shape"])
    for x, y in ((images, labels), (more_images, more_labels)):
        if len(x) != len(y):
            raise InputError(str(folder), [f"must have a label an image, got {len(y)} of {len(x)}"])
    if len(labels) <= _VALIDATION or not len(more_labels):
        fault = f"must have more than {_VALIDATION} images to train on, and one to test with"
        raise InputError(str(folder), [fault])
    order = np.random.default_rng(0).permutation(len(labels))
    test = np.arange(len(labels), len(labels) + len(more_labels))
    split = np.sort(order[_VALIDATION:]), np.sort(order[:_VALIDATION]), test
    both = np.concatenate([images, more_images]), np.concatenate([labels, more_labels])
    if faults := _faults(*both):
        raise InputError(str(folder), faults)
    return _dataset("fashion-mnist", both[0], both[1].astype(np.int64), split)


def _idx(folder: Path, name: str) -> NDArray[np.uint8]:
    """The bytes of a gzipped IDX file (LeCun's MNIST format) as an array."""
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


def _npz(spec: str, path: Path) -> Dataset:
    images, labels = _npz_arrays(path)
    faults = _faults(images, labels)
    if faults:
        raise InputError(str(path), faults)
    return _dataset(spec, images, labels.astype(np.int64), _split(len(labels)))


def _npz_arrays(path: Path) -> list[NDArray[Any]]:
    data = io.BytesIO(read_bytes(path))
    if not zipfile.is_zipfile(data):  # NumPy would speak of pickles
        raise InputError(str(path), ["is no npz file of plain arrays; write it with numpy.savez"])
    data.seek(0)
    try:
        with np.load(data, allow_pickle=False) as arrays:
            missing = {"images", "labels"} - set(arrays)
            if missing:
                raise InputError(str(path), [f"{min(missing)}: is missing; must be given"])
            return [arrays["images"], arrays["labels"]]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, TypeError,
            AttributeError, MemoryError) as error:  # fmt: skip
        words = str(error).splitlines()[0] if str(error) else "damaged"
        raise InputError(str(path), [f"is no npz file of plain arrays: {words}"]) from None


def _faults(images: NDArray[Any], labels: NDArray[Any]) -> list[str]:
    """What keeps a user's arrays from being trained on."""
    if images.ndim not in (3, 4) or images.dtype.kind not in "biuf":
        return ["images: must be numbers of shape (n, H, W) or (n, C, H, W)"]
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        return [f"labels: must be {len(images)} whole numbers, one an image"]
    if len(images) < 20:
        return [f"images: must be at least 20, got {len(images)}"]
    return [*_shape_faults(images), *_value_faults(images), *_label_faults(labels)][:1]


def _shape_faults(images: NDArray[Any]) -> Iterator[str]:
    if images.ndim == 4 and images.shape[3] < SMALLEST_SIDE <= min(images.shape[1:3]):
        yield (
            f"images: must be of shape (n, C, H, W), got {images.shape}, which looks like "
            "(n, H, W, C): use images.transpose(0, 3, 1, 2)"
        )
    if min(images.shape[-2:]) < SMALLEST_SIDE or images.shape[1] == 0:
        side = SMALLEST_SIDE
        yield f"images: must have a channel and at least {side} × {side} pixels"


def _value_faults(images: NDArray[Any]) -> Iterator[str]:
    if images.size and not np.isfinite(images).all():
        yield "images: must be finite numbers"
    elif images.size and max(abs(float(images.max())), abs(float(images.min()))) > _LARGEST:
        yield f"images: must be numbers within ±{_LARGEST:g}"


def _label_faults(labels: NDArray[Any]) -> Iterator[str]:
    inside = labels.min() >= 0 and labels.max() < len(labels)
    counts = np.bincount(labels.astype(np.int64)) if inside else np.zeros(1)
    if len(counts) < 2 or counts.min() == 0:
        yield "labels: must be 0, 1, … without a gap, of two classes or more"


Splits = tuple[Index, Index, Index]  # train, validation, test


def _split(count: int) -> Splits:
    """A tenth for validation and a quarter for the test, drawn once and for all."""
    order = np.random.default_rng(0).permutation(count)
    rest, validation, test = np.split(order, [count - count // 10 - count // 4, count - count // 4])
    return np.sort(rest), np.sort(validation), np.sort(test)


def _dataset(name: str, raw: NDArray[Any], labels: Index, splits: Splits) -> Dataset:
    raw = raw if raw.ndim == 4 else raw[:, None]
    digest = hashlib.sha256(f"{raw.shape} {raw.dtype.str}".encode())
    for part in (raw, labels, *splits):
        digest.update(np.ascontiguousarray(part).data)
    with one_thread():
        known = torch.from_numpy(raw[splits[0]].astype(np.float32))
        spread, mean = torch.std_mean(known, dim=(0, 2, 3), keepdim=True, correction=0)
    if spread.min() < 1e-12:
        raise InputError(name, ["images: all pixels of a channel are alike"])
    scale = Scale(mean, spread)
    return Dataset(
        name=name,
        sha256=digest.hexdigest(),
        raw=raw,
        scale=scale,
        images=scale.standardise(raw),
        labels=torch.from_numpy(labels),
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        classes=int(labels.max()) + 1,
    )

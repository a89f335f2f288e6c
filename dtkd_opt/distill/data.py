"""Data sets: standardised images, labels, and splits that are always the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dtkd_opt.distill.data_files import array_faults, read_idx, read_npz
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.records.arguments import as_kind
from dtkd_opt.records.arrays import Index
from dtkd_opt.runtime.jobs import require
from dtkd_opt.runtime.threads import one_thread

DATA_SETS = ("digits", "fashion-mnist", "npz:FILE")
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package installs

_VALIDATION = 5000  # of Fashion-MNIST; small data sets keep a tenth
_FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


@dataclass(frozen=True, eq=False)
class Scale:
    """Mean and standard deviation (1, C, 1, 1) of each channel of the training split."""

    mean: Tensor
    std: Tensor

    def standardise(self, raw: NDArray[Any]) -> Tensor:
        """(n, C, H, W) images as they were stored → float32; some of them as all, bit for bit."""
        return torch.from_numpy(raw.astype(np.float32)).sub_(self.mean).div_(self.std)


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
    as_kind(str, spec, "data must be the name of a data set")
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
    require("sklearn", "train", "digits")
    from sklearn.datasets import load_digits

    raw = load_digits()
    labels = np.asarray(raw.target, np.int64)
    return _dataset("digits", np.asarray(raw.images, np.uint8), labels, _split(len(labels)))


def _fashion_mnist(folder: Path) -> Dataset:
    images, labels, more_images, more_labels = (read_idx(folder, name) for name in _FILES)
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
    if faults := array_faults(*both):
        raise InputError(str(folder), faults)
    return _dataset("fashion-mnist", both[0], both[1].astype(np.int64), split)


def _npz(spec: str, path: Path) -> Dataset:
    images, labels = read_npz(path)
    if faults := array_faults(images, labels):
        raise InputError(str(path), faults)
    return _dataset(spec, images, labels.astype(np.int64), _split(len(labels)))


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
        train = torch.from_numpy(raw[splits[0]].astype(np.float32))
        std, mean = torch.std_mean(train, dim=(0, 2, 3), keepdim=True, correction=0)
    if std.min() < 1e-12:
        raise InputError(name, ["images: all pixels of a channel are alike"])
    scale = Scale(mean, std)
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

"""Data sets and private samples: what is read, how it is split, and what is said of bad input."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.distill.data import load_data

IDX = {
    "train-images-idx3": (6000, 8, 8),
    "train-labels-idx1": (6000,),
    "t10k-images-idx3": (40, 8, 8),
    "t10k-labels-idx1": (40,),
}


def test_digits_are_standardised_and_split_once_and_for_all() -> None:
    data = load_data("digits")
    assert (data.shape, data.classes, data.sample_bits) == ((1, 8, 8), 10, 512)
    splits = (data.train, data.validation, data.test)
    assert [len(split) for split in splits] == [1169, 179, 449]
    assert np.array_equal(np.sort(np.concatenate(splits)), np.arange(1797))
    known = data.images[data.train].numpy()
    assert abs(known.mean()) < 1e-6
    assert abs(known.std() - 1) < 1e-6
    assert load_data("digits").sha256 == data.sha256


def write_idx(folder: Path, name: str, shape: tuple[int, ...], body: bytes | None = None) -> None:
    rng = np.random.default_rng(len(name))
    top = 256 if len(shape) == 3 else 4
    body = rng.integers(0, top, shape, dtype=np.uint8).tobytes() if body is None else body
    head = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    (folder / f"{name}-ubyte.gz").write_bytes(gzip.compress(head + body))


def idx_folder(folder: Path, **changed: tuple[int, ...]) -> Path:
    for name, shape in IDX.items():
        write_idx(folder, name, changed.get(name.replace("-", "_"), shape))
    return folder


def test_idx_files_keep_their_test_images_apart(tmp_path: Path) -> None:
    data = load_data("fashion-mnist", idx_folder(tmp_path))
    assert [len(s) for s in (data.train, data.validation, data.test)] == [1000, 5000, 40]
    assert data.test.min() == 6000
    raw = gzip.decompress((tmp_path / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    pixels, images = np.frombuffer(raw, np.uint8), data.images[data.test].numpy().ravel()
    assert np.corrcoef(pixels, images)[0, 1] > 1 - 1e-6


def test_missing_idx_files_name_the_command_that_installs_them(tmp_path: Path) -> None:
    with pytest.raises(do.InputError, match=r"sudo apt-get install dataset-.*data-dir"):
        load_data("fashion-mnist", tmp_path)


@pytest.mark.parametrize("damage", ["cut", "text", "short", "long", "rank"])
def test_damaged_idx_files_are_refused(tmp_path: Path, damage: str) -> None:
    name = "train-images-idx3"
    path = idx_folder(tmp_path) / f"{name}-ubyte.gz"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "text":
        path.write_bytes(b"hello")
    elif damage == "rank":
        write_idx(tmp_path, name, (6000, 64), bytes(6000 * 64))
    else:
        write_idx(tmp_path, name, (6000, 8, 8), bytes(10 if damage == "short" else 10**6))
    with pytest.raises(do.InputError, match=r"train-images-idx3-ubyte\.gz: .*whole"):
        load_data("fashion-mnist", tmp_path)


def test_idx_files_must_fit_together(tmp_path: Path) -> None:
    with pytest.raises(do.InputError, match="a label an image, got 39 of 40"):
        load_data("fashion-mnist", idx_folder(tmp_path, t10k_labels_idx1=(39,)))
    with pytest.raises(do.InputError, match="one shape"):
        load_data("fashion-mnist", idx_folder(tmp_path, t10k_images_idx3=(40, 9, 9)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train_images_idx3": (5000, 8, 8), "train_labels_idx1": (5000,)}, "more than 5000"),
        ({"t10k_images_idx3": (0, 8, 8), "t10k_labels_idx1": (0,)}, "one to test with"),
        ({"train_images_idx3": (6000, 7, 7), "t10k_images_idx3": (40, 7, 7)}, "8 × 8 pixels"),
    ],
)
def test_idx_files_that_cannot_be_trained_on(
    changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(do.InputError, match=said):
        load_data("fashion-mnist", idx_folder(tmp_path, **changed))


def test_idx_files_of_one_class(tmp_path: Path) -> None:
    idx_folder(tmp_path)
    for name in ("train-labels-idx1", "t10k-labels-idx1"):
        write_idx(tmp_path, name, IDX[name], bytes(IDX[name][0]))
    with pytest.raises(do.InputError, match="of two classes or more"):
        load_data("fashion-mnist", tmp_path)


def arrays(**changed: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    images = rng.random((60, 3, 9, 10), dtype=np.float32) + 5
    return {"images": images, "labels": np.arange(60) % 3, **changed}


def npz(tmp_path: Path, **changed: Any) -> str:
    path = tmp_path / "own.npz"
    np.savez(path, **{key: value for key, value in arrays(**changed).items() if value is not None})
    return f"npz:{path}"


def test_own_arrays(tmp_path: Path) -> None:
    data = load_data(npz(tmp_path))
    assert (data.shape, data.classes, data.sample_bits) == ((3, 9, 10), 3, 3 * 9 * 10 * 32)
    other = load_data(npz(tmp_path, labels=(np.arange(60) + 1) % 3))
    assert other.sha256 != data.sha256


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels": None}, "labels: is missing"),
        ({"labels": np.arange(59)}, "labels: must be 60 whole numbers"),
        ({"labels": np.arange(60) % 3 / 1.0}, "labels: must be 60 whole numbers"),
        ({"labels": np.arange(60) % 3 - 1}, "labels: must be 0, 1, … without a gap"),
        ({"labels": np.arange(60) % 3 * 2}, "labels: must be 0, 1, … without a gap"),
        ({"labels": np.full(60, 10**9)}, "labels: must be 0, 1, … without a gap"),
        ({"labels": np.zeros(60, int)}, "two classes or more"),
        ({"images": np.zeros((60, 9))}, "images: must be numbers of shape"),
        ({"labels": np.full(60, 2**63, np.uint64)}, "labels: must be 0, 1, … without a gap"),
        ({"images": np.zeros((60, 9, 7))}, "at least 8 × 8 pixels"),
        ({"images": np.zeros((60, 0, 9, 9))}, "must have a channel and at least"),
        ({"images": np.zeros((60, 9, 10, 3))}, r"got \(60, 9, 10, 3\), .*transpose\(0, 3, 1, 2\)"),
        ({"images": np.full((60, 9, 9), 1e39)}, r"images: must be numbers within ±1e\+15"),
        ({"images": np.full((60, 9, 9), -1e30)}, r"images: must be numbers within ±1e\+15"),
        ({"images": np.full((60, 9, 9), np.nan)}, "images: must be finite"),
        ({"images": np.ones((60, 9, 9))}, "all pixels of a channel are alike"),
        ({"images": np.zeros((60, 9, 9), object)}, "is no npz file of plain arrays"),
        ({"images": np.zeros((9, 9, 9)), "labels": np.arange(9) % 2}, "at least 20, got 9"),
    ],
)
def test_own_arrays_that_cannot_be_trained_on(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(do.InputError, match=said):
        load_data(npz(tmp_path, **changed))


def test_a_header_of_enormous_arrays_is_a_fault_of_the_file(tmp_path: Path) -> None:
    """NumPy asks for the memory before it finds out that there is no such content."""
    path = tmp_path / "huge.npz"
    header = io.BytesIO()
    about = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 8, 8)}
    np.lib.format.write_array_header_1_0(header, about)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("images.npy", header.getvalue())
        file.writestr("labels.npy", header.getvalue())
    with pytest.raises(do.InputError, match=r"huge\.npz: is no npz file of plain arrays"):
        load_data(f"npz:{path}")


def test_labels_of_any_whole_kind(tmp_path: Path) -> None:
    data = load_data(npz(tmp_path, labels=(np.arange(60) % 3).astype(np.uint64)))
    assert data.classes == 3


def test_what_is_no_npz_file(tmp_path: Path) -> None:
    with pytest.raises(do.InputError, match="no such file"):
        load_data(f"npz:{tmp_path / 'none.npz'}")
    whole = Path(npz(tmp_path).removeprefix("npz:")).read_bytes()
    path = tmp_path / "cut.npz"
    for data in (b"", b"hello", whole[:300], whole[: len(whole) // 2], b"\x80\x04K\x01."):
        path.write_bytes(data)
        with pytest.raises(do.InputError, match="is no npz file of plain arrays"):
            load_data(f"npz:{path}")
    path.with_name("a.json").write_text("{}")
    with pytest.raises(do.InputError, match=r"a\.json: .* write it with numpy\.savez$"):
        load_data(f"npz:{path.with_name('a.json')}")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(do.InputError, match="is no npz file of plain arrays"):
        load_data(f"npz:{tmp_path / 'one.npy'}")


@pytest.mark.parametrize("spec", ["mnist", "", "npz:", "Digits"])
def test_unknown_data_sets_are_told_the_known_ones(spec: str) -> None:
    with pytest.raises(do.UsageError, match="digits, fashion-mnist, npz:FILE"):
        load_data(spec)

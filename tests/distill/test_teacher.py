"""The teacher's file: trained once, and anew where it is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import dtkd_opt as do
from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.teacher import load_teacher, teacher_config
from dtkd_opt.distill.training import TrainConfig, predict
from tests.support.calibrating import SHORT


@pytest.fixture(scope="session")
def few(digits: Dataset) -> Dataset:
    """The first of the digits: a teacher of them is trained in no time."""
    parts = {"train": np.arange(90), "validation": np.arange(90, 100), "test": np.arange(100, 120)}
    return replace(digits, images=digits.images[:120], labels=digits.labels[:120], **parts)


def test_the_teacher_is_trained_once(
    few: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache, told = tmp_path / "new" / "folder", list[float]()
    teacher = load_teacher(few, cache, config=SHORT, callback=told.append)
    again = load_teacher(few, cache, config=SHORT, callback=told.append)
    assert told == [0.5, 1.0]
    assert (again.sha256, caplog.messages) == (teacher.sha256, [])
    assert torch.equal(again.logits, teacher.logits)
    torch.testing.assert_close(predict(again.network, few.images), teacher.logits)
    hits = teacher.logits[few.test].argmax(1) == few.labels[few.test]
    assert teacher.accuracy(few, few.test) == pytest.approx(hits.double().mean().item())


def test_other_settings_are_other_teachers(few: Dataset, tmp_path: Path) -> None:
    first = load_teacher(few, tmp_path, config=SHORT)
    others = [
        load_teacher(few, tmp_path, config=SHORT, seed=1),
        load_teacher(few, tmp_path, config=SHORT, rows=few.train[:50]),
        load_teacher(few, tmp_path, config=TrainConfig(epochs=1, batch_size=64)),
    ]
    assert len({teacher.sha256 for teacher in [first, *others]}) == 4
    assert len(list(tmp_path.iterdir())) == 4


def test_a_teacher_of_another_torch_or_device_is_not_taken(
    few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_teacher(few, tmp_path, config=SHORT)
    monkeypatch.setattr(torch, "__version__", "2.3.0")
    load_teacher(few, tmp_path, config=SHORT)
    load_teacher(few, tmp_path, config=SHORT, device="cpu:0")
    assert len(list(tmp_path.iterdir())) == 3


def test_small_data_sets_teach_for_more_epochs() -> None:
    assert [teacher_config(count).epochs for count in (55_000, 6251, 6250, 1169)] == [4, 4, 4, 22]
    assert teacher_config(6249).epochs == 5


def flipped(data: bytes) -> bytes:
    """One bit of the last weight."""
    return data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "text", "other"])
def test_a_damaged_file_is_logged_and_made_anew(
    few: Dataset, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    teacher = load_teacher(few, tmp_path, config=SHORT)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    if damage == "other":
        load_teacher(few, tmp_path, config=SHORT, seed=1)
        (other,) = set(tmp_path.iterdir()) - {path}
        bad = other.read_bytes()
    else:
        bad = {
            "flipped": flipped(whole),
            "cut": whole[: len(whole) // 2],
            "empty": b"",
            "text": b"hello, this is no safetensors file",
        }[damage]
    path.write_bytes(bad)
    again = load_teacher(few, tmp_path, config=SHORT)
    assert again.sha256 == teacher.sha256
    (warning,) = caplog.messages
    assert warning.endswith("training the teacher anew")
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_made_is_told(few: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(do.InputError, match=r"file.*: cannot be made"):
        load_teacher(few, tmp_path / "file" / "folder", config=SHORT)

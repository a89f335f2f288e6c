"""The files of a calibration have names of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dtkd_opt as do
from tests.support.calibrating import quick


@pytest.mark.parametrize("name", ["t.csv", "t.md", "t.svg"])
def test_the_table_has_a_name_of_its_own(name: str, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(do.UsageError, match="also the name of a file beside the table"):
        quick(cache, output=tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_the_data_are_not_overwritten(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    images = np.random.default_rng(0).random((200, 8, 8))
    np.savez(path, images=images, labels=np.arange(200) % 2)
    before = path.read_bytes()
    with pytest.raises(do.InputError, match=r"own\.npz: would be overwritten"):
        quick(cache, data=f"npz:{path}", output=path)
    assert path.read_bytes() == before

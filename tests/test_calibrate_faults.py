"""`calibrate` where something is amiss: names of files, lost students, options that do nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import INSTANCES

import dtkd_opt as do
from dtkd_opt.distill.calibrate import Calibrated

PROGRAM = [sys.executable, "-c", "from dtkd_opt.cli import main; main()"]
FAST = {"epochs": 1, "learning_rates": (1e-2,), "batch_sizes": (64,), "choice_seeds": 1}


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    given = [*PROGRAM, *words]
    return subprocess.run(given, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("teachers")


def quick(cache: Path, **more: Any) -> Calibrated:
    """Trainings of one epoch."""
    params = do.CalibrateParams(**FAST | more.pop("params", {}))
    given = {"students": ["logreg"], "sizes": [100], "seeds": 2, "jobs": 2} | more
    return do.calibrate(**given, params=params, cache=cache)


def test_click_before_8_4_has_no_generic_types() -> None:
    code = (
        "import click; click.ParamType.__class_getitem__ = None\n"
        "from dtkd_opt.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "calibrate", "--help"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--sizes A,B,…" in done.stdout


@pytest.mark.parametrize("into", ["i.json", "./i.json", "link.json", "i.training.jsonl"])
def test_the_instance_is_not_overwritten_by_the_table(into: str, tmp_path: Path) -> None:
    shutil.copy(INSTANCES / "n5.json", tmp_path / "i.json")
    shutil.copy(INSTANCES / "n5.json", tmp_path / "i.training.jsonl")
    (tmp_path / "link.json").symlink_to(tmp_path / "i.json")
    before = (tmp_path / "i.json").read_bytes()
    done = run(tmp_path, "calibrate", "--output", "i.json", "--into", into)
    said = f"{Path(into)} would be overwritten; name another --output\n"
    assert (done.returncode, done.stderr) == (2, said)
    assert (tmp_path / "i.json").read_bytes() == before


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
    with pytest.raises(do.UsageError, match=r"own\.npz would be overwritten"):
        quick(cache, data=f"npz:{path}", output=path)
    assert path.read_bytes() == before

"""Same seed and rounds, same solution file: byte for byte, in two processes of the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.command_line import run
from tests.support.paths import INSTANCES

FEW = "[q-learning]\nrounds = 300\n[dqn]\nrounds = 12\n"


@pytest.mark.parametrize("name", ["n10", "n40-s3", "n40-s3-limits"])
@pytest.mark.parametrize("words", ["dqn", "q-learning", "q-learning --cold"])
def test_same_seed_and_rounds_same_file(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "few.toml").write_text(FEW)
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        given = (*words.split(), "--seed", "3", "--gap", "0", "--params", tmp_path / "few.toml")
        done = run("solve", INSTANCES / f"{name}.json", "--method", *given, cwd=tmp_path / folder)
        assert done.returncode == 0, done.stderr
        text = (tmp_path / folder / f"{name}.solution.json").read_text()
        untimed, times = re.subn(r'"runtime_s": ?[^,]+,', "", text)
        assert times == 1
        files.append(untimed)
    assert files[0] == files[1]


def test_another_seed_explores_otherwise(tmp_path: Path) -> None:
    """Seeds count: else the same files would say nothing."""
    (tmp_path / "few.toml").write_text(FEW)
    plans = []
    for seed in ("3", "4"):
        words = ("--method", "q-learning", "--cold", "--seed", seed, "--params", "few.toml")
        assert run("solve", INSTANCES / "n40-s3.json", *words, cwd=tmp_path).returncode == 0
        text = (tmp_path / "n40-s3.solution.json").read_text()
        plans.append(text[text.index('"users"') :])
    assert plans[0] != plans[1]

"""The command `pareto`: its options, its files, Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import dtkd_opt as do
from dtkd_opt.commands.main import cli
from tests.support.command_line import run
from tests.support.paths import INSTANCES

PRESS_AT = """
import signal, sys
from dtkd_opt.analysis import pareto
real, calls, at, after = pareto.solve, [], int(sys.argv.pop(1)), sys.argv.pop(1) == "after"
def press(*given, **limits):
    calls.append(given)
    if len(calls) == at and not after:
        signal.raise_signal(signal.SIGINT)
    found = real(*given, **limits)
    if len(calls) == at:
        signal.raise_signal(signal.SIGINT)
    return found
pareto.solve = press
from dtkd_opt.commands.main import main; main()
"""


@pytest.mark.parametrize("names", [("--min-weight", "--max-weight"), ("--least", "--most")])
def test_the_ends_of_the_weights(names: tuple[str, str], tmp_path: Path) -> None:
    """Also by the names that they had before."""
    pytest.importorskip("pandas")
    words = ["--points", "2", names[0], "50", names[1], "200"]
    done = run("pareto", INSTANCES / "n5.json", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rows = (tmp_path / "n5.pareto.csv").read_text().splitlines()
    assert [float(row.split(",")[0]) for row in rows[1:]] == [50, 200]


@pytest.mark.parametrize(("at", "when", "kept"), [(1, "before", 0), (3, "before", 2),
                                                  (3, "after", 2)])  # fmt: skip
def test_ctrl_c_between_two_weights(at: int, when: str, kept: int, tmp_path: Path) -> None:
    words = ["pareto", str(INSTANCES / "n5.json"), "--points", "5", "--output", "p.csv"]
    done = subprocess.run(
        [sys.executable, "-c", PRESS_AT, str(at), when, *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if kept:
        assert (done.returncode, done.stderr) == (0, f"interrupted; {kept} of 5 weights are done\n")
        assert len(pd.read_csv(tmp_path / "p.csv")) == kept
    else:
        assert (done.returncode, done.stderr.strip()) == (1, "interrupted; nothing was written")
        assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "front.csv"
    words = ["pareto", str(INSTANCES / "n5.json"), "--points", "3", "--output", str(file)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert f"written: {file} and {file.with_suffix('.svg')}" in done.output.replace("\n", "")
    assert len(pd.read_csv(file)) == 3


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--points", "1"], "points must be at least 2"),
        (["--min-weight", "5", "--max-weight", "2"], "must be 0 < min_weight < max_weight"),
        (["--gap", "-1"], "gap must be"),
    ],
)
def test_numbers_that_mean_nothing(words: list[str], part: str, tmp_path: Path) -> None:
    file = str(tmp_path / "front.csv")
    words = ["pareto", str(INSTANCES / "n5.json"), *words, "--output", file]
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, do.UsageError)
    assert part in str(done.exception)

"""The command line as a user meets it: output, files, exit codes, one-line errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import fails, run, run_process
from tests.support.paths import INSTANCES


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["solve", "nowhere.json"], 1, "nowhere.json: no such file"),
        (["solve", INSTANCES], 1, "is a folder"),
        (["solve", INSTANCES / "best.csv"], 1, "is not JSON at line 1, column 1"),
        (["solve", INSTANCES / "n5.json", "--method", "magic"], 2, "no method"),
        (["solve", INSTANCES / "n5.json", "--gap", "-1"], 2, "gap"),
        (["solve", INSTANCES / "n5.json", "--gap", "nan"], 2, "gap"),
        (["solve", INSTANCES / "n5.json", "--time-limit", "0"], 2, "time_limit"),
        (["solve", INSTANCES / "n5.json", "--seed", "-3"], 2, "seed"),
        (["solve", INSTANCES / "n5.json", "--method", "greedy", "--no-fixing"], 2, "--no-fixing"),
        (["solve", INSTANCES / "n5.json", "--no-fixing", "--threads", "-2"], 2, "--threads"),
        (["solve", INSTANCES / "n5.json", "--mip-rel-gap", "-1"], 2, "--mip-rel-gap"),
        (["solve", INSTANCES / "n5.json", "--no-such"], 2, "No such option"),
        (["solve", INSTANCES / "n5.json", "--output", "no/such/dir.json"], 1, "cannot be written"),
        (["check", INSTANCES / "n5.json", INSTANCES / "n5.json"], 1, "format"),
        (["generate", "--users", "0", "--output", "x.json"], 2, "users must be a whole number"),
        (["generate", "--users", "3", "--deadlines", "2", "--output", "x.json"], 2, "deadlines"),
        (["generate", "--users", "3"], 2, "--output"),
        (["export", INSTANCES / "n5.json", "--format", "lp", "--formulation", "minlp",
          "--output", "x.lp"], 2, "linear"),
        (["export", INSTANCES / "n5.json", "--format", "gms", "--output", "x"], 2, "gms"),
        (["frobnicate"], 2, "No such command"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_clear_message(
    words: list[str | Path], code: int, part: str, tmp_path: Path
) -> None:
    fails(run(*words, cwd=tmp_path), code, part)
    assert list(tmp_path.iterdir()) == []


def test_help_names_each_command_and_an_example() -> None:
    text = run_process("--help").stdout
    for word in ("solve", "check", "generate", "export", "Example"):
        assert word in text
    for command in ("solve", "check", "generate", "export"):
        assert "Example" in run(command, "--help").stdout

"""The command line as a user meets it: output, files, exit codes, one-line errors."""

from __future__ import annotations

import shutil
import subprocess
import sys
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
        (["solve", INSTANCES / "n5.json", "--time-limit", "0"], 2, "--time-limit must be"),
        (["solve", INSTANCES / "n5.json", "--seed", "-3"], 2, "seed"),
        (["solve", INSTANCES / "n5.json", "--method", "greedy", "--no-fixing"], 2, "--no-fixing"),
        (["solve", INSTANCES / "n5.json", "--no-fixing", "--threads", "-2"], 2, "--threads"),
        (["solve", INSTANCES / "n5.json", "--mip-rel-gap", "-1"], 2, "--mip-rel-gap"),
        (["solve", INSTANCES / "n5.json", "--no-such"], 2, "No such option"),
        (["solve", INSTANCES / "n5.json", "--output", "no/such/dir.json"], 1, "cannot be written"),
        (["check", INSTANCES / "n5.json", INSTANCES / "n5.json"], 1, "format"),
        (["generate", "--users", "0", "--output", "x.json"], 2, "--users must be a whole number"),
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


NUMBERS = {  # a command's words, and its options that are numbers
    "solve": ([INSTANCES / "n5.json"], ["gap", "time-limit", "mip-rel-gap"]),
    "certify": ([INSTANCES / "n5.json", "s.json"], ["target", "time-limit"]),
    "generate": (
        ["--users", "3", "--output", "i.json"],
        ["seconds-per-error", "deadlines", "energy-budgets", "accuracy-floors"],
    ),
    "export": ([INSTANCES / "n5.json", "--output", "m.lp", "--format", "lp"], ["time-limit"]),
    "compare": ([INSTANCES / "n5.json", "--output", "c"], ["gap", "time-limit"]),
    "pareto": ([INSTANCES / "n5.json"], ["min-weight", "max-weight", "gap", "time-limit"]),
    "calibrate": (["--output", "k.json"], ["tau", "alpha", "fresh-fraction"]),
    "train-dqn": (["--output", "d"], ["minutes"]),
}


@pytest.mark.parametrize("value", ["nan", "inf", "1e400", "x"])
@pytest.mark.parametrize("command", NUMBERS)
def test_what_is_no_finite_number_is_refused_by_its_option(
    command: str, value: str, tmp_path: Path
) -> None:
    words, options = NUMBERS[command]
    for option in options:
        done = run(command, *words, f"--{option}", value, cwd=tmp_path)
        fails(done, 2, f"Invalid value for '--{option}'")
        assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["solve", INSTANCES / "n5.json", "--iterations", "0"], "--iterations must be a whole"),
        (["pareto", INSTANCES / "n5.json", "--points", "1"], "--points must be at least 2, got 1"),
        (["pareto", INSTANCES / "n5.json", "--min-weight", "9e9"], "--min-weight: must be 0 <"),
        (["generate", "--users", "3", "--reach", "0", "--energy-budgets", "2", "--output", "x"],
         "--reach: must be at least 1, got 0; --energy-budgets: must be at most 1"),
        (["train-dqn", "--output", "d", "--steps", "0"], "--steps: must be at least 1, got 0"),
        (["calibrate", "--output", "k.json", "--jobs", "0"], "--jobs must be at least 1"),
    ],
)  # fmt: skip
def test_faults_of_options_are_told_in_the_commands_words(
    words: list[str | Path], fault: str, tmp_path: Path
) -> None:
    fails(run(*words, cwd=tmp_path), 2, fault)


def test_help_names_each_command_and_an_example() -> None:
    text = run_process("--help").stdout
    for word in ("solve", "check", "generate", "export", "Example"):
        assert word in text
    for command in ("solve", "check", "generate", "export"):
        assert "Example" in run(command, "--help").stdout


COMMANDS = {  # with their inputs; what they write is named after it
    "solve": "solve in.json --output",
    "highs log": "solve in.json --output s.json --method exact --highs-log",
    "certify": "certify in.json in.json --output",
    "generate": "generate --users 5 --models in.json --output",
    "export": "export in.json --format lp --output",
    "pareto": "pareto in.json --output",
    "calibrate": "calibrate --data npz:in.json --output",
    "calibrate into": "calibrate --output t.json --into",
    "compare": "compare in.json --method greedy --output",
    "federate": "federate in.json in.json --output",
    "train-dqn": "train-dqn --output",
}
OUTPUTS = ("missing/file", "folder", "link", "link.json", "file/new")
FINE = {  # a folder is made, and an instance changed where it is
    *((name, output) for name in ("compare", "federate", "train-dqn") for output in OUTPUTS[:3]),
    ("calibrate into", "link.json"),
}
BAD = [(name, output) for name in COMMANDS for output in OUTPUTS if (name, output) not in FINE]


@pytest.mark.parametrize(("command", "output"), BAD)
def test_outputs_are_checked_before_the_work(command: str, output: str, tmp_path: Path) -> None:
    shutil.copy(INSTANCES / "n5.json", tmp_path / "in.json")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "link.json").symlink_to("in.json")
    before = sorted(tmp_path.rglob("*"))
    done = run(*COMMANDS[command].split(), output, cwd=tmp_path)
    fails(done, 1, output.split("/")[0].removeprefix("link."))
    assert len(done.stderr.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "in.json").read_bytes() == (INSTANCES / "n5.json").read_bytes()


def test_the_check_loads_nothing_heavy() -> None:
    """It is there within a second."""
    code = (
        "import sys; sys.argv = ['dtkd-opt', 'calibrate', '--output', 'missing/t.json']\n"
        "from dtkd_opt.commands.main import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code)\n"
        "print(sorted({'torch', 'pyomo', 'highspy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "1\n[]\n"

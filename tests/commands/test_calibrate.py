"""The command `calibrate`: its files, its options, Ctrl-C."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dtkd_opt as do
from tests.records.test_calibration import make_calibration
from tests.support.calibrating import run
from tests.support.paths import INSTANCES


def test_click_before_8_4_has_no_generic_types() -> None:
    code = (
        "import click; click.ParamType.__class_getitem__ = None\n"
        "from dtkd_opt.commands.main import main; main()"
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
    said = f"{Path(into)}: would be overwritten; name another output\n"
    assert (done.returncode, done.stderr) == (1, said)
    assert (tmp_path / "i.json").read_bytes() == before


@pytest.mark.parametrize(
    ("place", "code"),
    [("results.write_files", 0), ("results.check_output", 130), ("summary.accuracy_lines", 130)],
)
def test_ctrl_c_spoils_no_writing_and_is_130_elsewhere(
    place: str, code: int, cache: Path, tmp_path: Path
) -> None:
    """Ctrl-C as the first file is written, before all work, and as the results are printed."""
    module, name = place.split(".")
    program = (
        f"import signal, dtkd_opt.distill.{module} as m\n"
        f"real, left = m.{name}, [1]\n"
        "def press(*given):\n"
        "    if left: left.pop(); signal.raise_signal(signal.SIGINT)\n"
        "    return real(*given)\n"
        f"m.{name} = press\n"
        "from dtkd_opt.commands.main import main; main()"
    )
    words = ["--students", "logreg", "--sizes", "100", "--seeds", "1", "--epochs", "1",
             "--output", "t.json", "--cache", str(cache), "--into", "i.json"]  # fmt: skip
    made = do.generate_instance(3)
    task = made.task.replace(epochs=1)
    do.write_instance(made.replace(task=task), tmp_path / "i.json")
    done = subprocess.run(
        [sys.executable, "-c", program, "calibrate", *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    told = "interrupted; finished trainings are kept, --resume goes on\n"
    assert done.stderr == ("" if code == 0 else told)
    assert (tmp_path / "t.json").exists() == (name != "check_output")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("calibrate --output a.json --accuracy fitted", "give --into INSTANCE"),
        ("calibrate --output a.json --data-dir .", "is for fashion-mnist, not for digits"),
        ("calibrate --models t.json --into i.json --seeds 3", "--seeds does nothing with --models"),
        ("calibrate --models t.json --into i.json --batch-sizes 9", "--batch-sizes does nothing"),
        ("calibrate --models t.json --into i.json --resume", "--resume does nothing"),
        ("calibrate --output a.json --into i.json --seeds 1 --accuracy lower95", "of 2 or more"),
        (
            "calibrate --output a.json --into i.json --sizes 100 --accuracy fitted",
            "takes 4 --sizes",
        ),
    ],
)
def test_options_that_would_do_nothing_are_refused(words: str, said: str, tmp_path: Path) -> None:
    shutil.copy(INSTANCES / "n5.json", tmp_path / "i.json")
    do.write_calibration(make_calibration(), tmp_path / "t.json")
    done = run(tmp_path, *words.split())
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert said in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i.json", "t.json"]

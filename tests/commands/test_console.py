"""Standard output that takes no more, readers that have seen enough, terminals that know ASCII."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import DATA, INSTANCES

PROGRAM = [sys.executable, "-m", "dtkd_opt"]
GREEDY = ["solve", str(INSTANCES / "n5.json"), "--method", "greedy", "--output"]
FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no full device")
@pytest.mark.parametrize("command", ["solve", "check"])
def test_full_disk_behind_standard_output_is_said(command: str, tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    words = [*GREEDY, str(file)]
    if command == "check":
        subprocess.run([*PROGRAM, *words], check=True, capture_output=True, timeout=60)
        words = ["check", words[1], str(file)]
    with FULL.open("w") as full:
        done = subprocess.run(
            [*PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "standard output: cannot be written: No space left on device"
    ]
    assert file.exists()  # the plan was written before it was shown


def test_reader_that_has_seen_enough_ends_nothing(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    reading, writing = os.pipe()
    os.close(reading)  # nobody reads, as after `| head` has left
    done = subprocess.run(
        [*PROGRAM, *GREEDY, str(file)],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    assert file.exists()


def test_no_plan_keeps_its_exit_code_when_nobody_reads(tmp_path: Path) -> None:
    edge = DATA / "edge" / "large-rho-2.json"
    reading, writing = os.pipe()
    os.close(reading)
    words = ["solve", str(edge), "--method", "greedy", "--output", str(tmp_path / "s.json")]
    done = subprocess.run(
        [*PROGRAM, *words], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(writing)
    assert done.returncode == 3
    assert "have no option" in done.stderr


def test_terminal_without_unicode_gets_plain_tables(tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, *GREEDY, str(tmp_path / "s.json")],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode("ascii")
    assert "| objective J (s)" in text
    assert "?" not in text

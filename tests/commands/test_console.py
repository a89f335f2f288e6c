"""Standard output that takes no more, readers that have seen enough, terminals that know ASCII."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import dtkd_opt as do
from tests.support.command_line import fails, run
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


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["solve", "--help"]], ids=str)
def test_help_that_nobody_reads_ends_nothing(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*PROGRAM, *words], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ("calibrate", "--output"),
        ("compare", INSTANCES / "n5.json", "--method", "greedy", "--output"),
        ("federate", "a", "b", "--output"),
        ("train-dqn", "--output"),
        ("solve", INSTANCES / "n5.json", "--output"),
    ],
    ids=lambda words: words[0],
)
def test_an_empty_name_is_refused(words: tuple[str | Path, ...], tmp_path: Path) -> None:
    fails(run(*words, "", cwd=tmp_path), 1, "--output: must not be empty; name a file or folder")
    assert list(tmp_path.iterdir()) == []


def test_a_folders_name_is_that_of_no_file(tmp_path: Path) -> None:
    fails(run(*GREEDY, "new/", cwd=tmp_path), 1, "new/: is a folder; name a file")
    assert list(tmp_path.iterdir()) == []


def test_an_entry_of_a_list_is_told_by_its_option(tmp_path: Path) -> None:
    done = run("calibrate", "--batch-sizes", "0", "--output", tmp_path / "c.json")
    fails(done, 2, "--batch-sizes: must be at least 2, got 0")


def test_names_make_no_lines_of_their_own(tmp_path: Path) -> None:
    """A line break in a name could fake what `verify` says."""
    data = json.loads((INSTANCES / "n5.json").read_text())
    data["name"] = "n5\nFAKE"
    file, solution = tmp_path / "i\nFAKE.json", tmp_path / "s\nFAKE.json"
    proof = tmp_path / "c\nFAKE.json"
    file.write_text(json.dumps(data))
    for words in (
        ("solve", file, "--output", solution),
        ("check", file, solution),
        ("certify", file, solution, "--output", proof),
        ("verify", file, proof),
        ("export", file, "--format", "nl", "--output", tmp_path / "e\nFAKE.nl"),
        ("pareto", file, "--points", "2", "--output", tmp_path / "p\nFAKE.csv"),
        ("solve", file, "--method", "greedy\nFAKE"),
        ("generate", "--users", "3", "--output", tmp_path / "g\nFAKE.json"),
    ):
        done = run(*words)
        text = done.stdout + done.stderr
        assert r"\nFAKE" in text
        assert not [line for line in text.splitlines() if line.startswith("FAKE")]


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


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line of the shell, in which `dtkd-opt` is this program."""
    line = line.replace("dtkd-opt", f"'{sys.executable}' -m dtkd_opt")
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_commands_can_be_chained(tmp_path: Path) -> None:
    line = "dtkd-opt generate --users 5 --output - | dtkd-opt solve - --output -"
    done = shell(line, tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["gap"] <= 1e-6
    assert "n5: optimal" in done.stderr
    assert done.stderr.count("written: standard output") == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("output", ["-", "/dev/stdout", "s.json"])
def test_a_file_has_standard_output_to_itself(output: str, tmp_path: Path) -> None:
    """Also where that is redirected into this very file."""
    done = shell(f"dtkd-opt solve {INSTANCES / 'n5.json'} --output {output} > s.json", tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert do.read_solution(tmp_path / "s.json").status == "optimal"
    assert "n5: optimal" in done.stderr


def test_a_pipe_that_is_closed_ends_nothing(tmp_path: Path) -> None:
    done = shell(f"dtkd-opt export {INSTANCES / 'n5.json'} --format nl --output - | :", tmp_path)
    assert (done.returncode, done.stderr) == (0, "written: standard output\n")


def test_a_named_pipe_is_written_to(tmp_path: Path) -> None:
    line = "mkfifo p; dtkd-opt generate --users 3 --output p & dtkd-opt solve p; test -p p"
    done = shell(line, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "p.solution.json").exists()


def test_standard_input_is_not_read_twice(tmp_path: Path) -> None:
    for command in ("certify", "check", "verify", "federate --output out"):
        fails(run(*command.split(), "-", "-", cwd=tmp_path), 2, "standard input can be read once")
    assert list(tmp_path.iterdir()) == []


def test_names_do_not_reach_the_terminal_as_orders(tmp_path: Path) -> None:
    data = json.loads((INSTANCES / "n5.json").read_text())
    odd = "\x1b[31m\x00\u202e"
    data["name"] = data["servers"][0]["name"] = data["users"][0]["name"] = odd
    data["models"][-1]["name"] += odd
    file = tmp_path / "\x1b[1m.json"
    file.write_text(json.dumps(data))
    solution = tmp_path / "\x1b[2m.json"
    words = ("pareto", file, "--points", "2", "--beside", solution, "--output", tmp_path / "p.csv")
    for command in (
        ("solve", file, "--output", solution),
        ("check", file, solution),
        ("certify", file, solution, "--output", tmp_path / "c.json"),
        ("verify", file, tmp_path / "c.json"),
        ("export", file, "--format", "lp", "--output", tmp_path / "\x1b.lp"),
        words,
        ("solve", tmp_path / "\x1b"),
        ("\x1b", file),
    ):
        done = run(*command)
        text = done.stdout + done.stderr
        assert "Traceback" not in text
        assert text
        assert text.replace("\n", "").isprintable()
    ElementTree.parse(tmp_path / "p.svg")
    assert not set("\0\x1b") & set((tmp_path / "p.svg").read_text())

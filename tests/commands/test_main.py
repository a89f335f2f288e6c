"""The command line as a user meets it: output, files, exit codes, one-line errors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dtkd_opt as do
from tests.support.command_line import fails, run, run_process
from tests.support.paths import INSTANCES


def test_solve_then_check(tmp_path: Path) -> None:
    solved = run_process("solve", INSTANCES / "n10.json", cwd=tmp_path)
    assert solved.returncode == 0, solved.stderr
    assert solved.stderr == ""  # no progress when piped
    assert "optimal (gap proven)" in solved.stdout
    assert "written: n10.solution.json" in solved.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["n10.solution.json"]
    checked = run_process("check", INSTANCES / "n10.json", tmp_path / "n10.solution.json")
    assert checked.returncode == 0, checked.stderr
    assert "feasible and true" in checked.stdout


def test_check_refuses_a_wrong_figure_and_says_which(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    run("solve", INSTANCES / "n5.json", "--method", "greedy", "--output", file)
    data = json.loads(file.read_text())
    data["mean_accuracy"] += 1e-6
    data["users"][1]["delay_s"] *= 1.001
    file.write_text(json.dumps(data))
    done = run("check", INSTANCES / "n5.json", file)
    fails(done, 1, "mean_accuracy: is", "users[1].delay_s: is", str(file))
    assert len(done.stderr.splitlines()) == 2


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
        (["generate", "--users", "0", "--output", "x.json"], 2, "users must be between 1 and"),
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


def test_infeasible_instance_says_why_and_exits_with_3(tmp_path: Path) -> None:
    data = json.loads((INSTANCES / "n5.json").read_text())
    data["users"][3]["deadline_s"] = 1e-7
    file = tmp_path / "tight.json"
    file.write_text(json.dumps(data))
    done = run_process("solve", file, "--output", tmp_path / "s.json")
    fails(done, 3, 'users[3] "u3"', "deadline_s 1e-07")
    solution = do.read_solution(tmp_path / "s.json")
    assert (solution.status, solution.users, solution.gap) == ("infeasible", (), None)
    fails(run_process("check", file, tmp_path / "s.json"), 1, "holds no plan")


def test_generate_is_reproducible(tmp_path: Path) -> None:
    for name in ("a", "b"):
        words = ["generate", "--users", "12", "--servers", "3", "--seed", "4", "--deadlines", "0.5"]
        done = run(*words, "--name", "x", "--output", tmp_path / f"{name}.json")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_many_users_go_into_a_table_beside_the_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    done = run("generate", "--users", "200000", "--output", tmp_path / "n.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"written: {tmp_path}/n.json and {tmp_path}/n.parquet (generated: 200000" in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["n.json", "n.parquet"]
    assert (tmp_path / "n.json").stat().st_size < 5000
    assert do.read_instance(tmp_path / "n.json") == do.generate_instance(200_000)


@pytest.mark.parametrize("format_", ["nl", "lp", "mps"])
def test_export_writes_a_model(format_: str, tmp_path: Path) -> None:
    file = tmp_path / f"m.{format_}"
    done = run("export", INSTANCES / "n5.json", "--format", format_, "--output", file)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert file.stat().st_size > 1000


def test_help_names_each_command_and_an_example() -> None:
    text = run_process("--help").stdout
    for word in ("solve", "check", "generate", "export", "Example"):
        assert word in text
    for command in ("solve", "check", "generate", "export"):
        assert "Example" in run(command, "--help").stdout


def test_ctrl_c_writes_the_best_plan(tmp_path: Path) -> None:
    instance, log = tmp_path / "big.json", tmp_path / "highs.log"
    do.write_instance(do.generate_instance(80, 4, 0), instance)
    command = [sys.executable, "-m", "dtkd_opt", "solve"]
    command += [str(instance), "--method", "exact", "--no-fixing", "--highs-log", str(log)]
    process = subprocess.Popen(
        [*command, "--gap", "0", "--output", str(tmp_path / "s.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not (log.exists() and log.stat().st_size):
        time.sleep(0.05)  # until HiGHS runs
    process.send_signal(signal.SIGINT)
    time.sleep(0.01)
    process.send_signal(signal.SIGINT)  # the impatient press it twice
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert "interrupted" in out
    assert "Traceback" not in error
    assert run("check", instance, tmp_path / "s.json").returncode == 0


def test_progress_is_live_on_a_terminal(tmp_path: Path) -> None:
    """On a pseudo-terminal the live line shows phase, bound, incumbent and gap."""
    script = shutil.which("script")
    if script is None:
        pytest.skip("needs the `script` command to make a terminal")
    command = f"{sys.executable} -m dtkd_opt solve {INSTANCES}/n40-s3.json"
    done = subprocess.run(
        [script, "-qec", f"{command} --output {tmp_path}/s.json", "/dev/null"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    assert done.returncode == 0
    assert "bound" in done.stdout
    assert "incumbent" in done.stdout
    assert "gap" in done.stdout

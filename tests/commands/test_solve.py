"""The commands `solve` and `check`: files, exit codes, Ctrl-C; same seed and rounds, same file."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dtkd_opt as do
from tests.support.command_line import fails, run, run_process
from tests.support.comparing import FILE, N5
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


def test_solve_takes_a_label_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(FILE)
    done = run(
        "solve", N5, "--method", "q-learning cold", "--params", file, "--gap", "0", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    want = do.solve(do.read_instance(N5), do.QLearning(cold=True, rounds=30), gap=0.0)
    found = do.read_solution(tmp_path / "n5.solution.json")
    assert (found.method, found.incumbent_objective) == ("q-learning", want.objective)


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_the_best_plan(number: signal.Signals, tmp_path: Path) -> None:
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
    process.send_signal(number)
    process.send_signal(number)  # as `timeout` sends it, twice at once
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

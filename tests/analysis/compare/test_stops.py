"""`compare` when it is stopped, killed or disturbed: what is finished stays, the rest goes on."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest

import dtkd_opt as do
from dtkd_opt.runtime.interrupts import SIGNALS
from tests.support.comparing import N5, PROGRAM, WRITTEN, lines, run, wait_for, words

_MASKS = ("SigBlk", "SigIgn")


# loky's thread may still look for a job that was just taken back: its own race, and harmless
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def test_kill_9_loses_only_what_was_running(tmp_path: Path, env: dict[str, str]) -> None:
    output, hold = tmp_path / "out", tmp_path / "hold"
    given = [*words(N5, methods="greedy held", output=output), "--jobs", "1"]
    process = subprocess.Popen([*PROGRAM, *given], env=env)
    wait_for(lambda: hold.read_text() != "")
    process.kill()
    process.wait()
    worker = int(hold.read_text())
    wait_for(lambda: not Path(f"/proc/{worker}/cmdline").exists())
    journal = output / "runs.jsonl"
    before = journal.read_bytes()
    assert [row["spec"]["method"] for row in lines(output)] == ["greedy", "greedy"]
    journal.write_bytes(before + before[: len(before) // 3])  # a torn line
    hold.unlink()
    done = run(given, env)
    assert (done.returncode, done.stderr) == (0, "")
    assert journal.read_bytes().startswith(before)
    assert [row["spec"]["method"] for row in lines(output)] == ["greedy"] * 2 + ["held"] * 2
    assert pd.read_csv(output / "runs.csv").outcome.tolist() == ["plan"] * 4


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_keeps_what_is_finished(
    number: signal.Signals, tmp_path: Path, env: dict[str, str]
) -> None:
    output, hold = tmp_path / "out", tmp_path / "hold"
    given = [*words(N5, methods="greedy held", output=output), "--jobs", "2"]
    process = subprocess.Popen(
        [*PROGRAM, *given], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: hold.read_text() != "" and len(lines(output)) == 2)
    os.killpg(process.pid, number)  # as a terminal does, to the workers too
    out, error = process.communicate(timeout=60)
    assert not list(Path("/dev/shm").glob(f"*loky-{process.pid}-*"))
    assert process.returncode == 130
    assert error == "interrupted; finished runs are kept, the same command goes on\n"
    assert "greedy" in out
    assert pd.read_csv(output / "runs.csv").method.tolist() == ["greedy", "greedy"]
    assert sorted(os.listdir(output)) == WRITTEN
    wait_for(lambda: not Path(f"/proc/{int(hold.read_text())}/cmdline").exists())


def ignores_sigint(pid: int) -> bool:
    """Whether a process blocks or ignores Ctrl-C."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line[:6] in _MASKS]
    return any(mask >> (signal.SIGINT - 1) & 1 for mask in masks)


def test_ctrl_c_while_workers_start_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do the workers say anything of it, who get it from the terminal too."""
    started: list[int] = []
    call = joblib.Parallel.__call__

    def pressed(parallel: joblib.Parallel, tasks: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        runs = call(parallel, tasks)
        started.extend(process.pid for process in parallel._backend._workers._processes.values())
        assert all(map(ignores_sigint, started))
        return runs

    monkeypatch.setattr(joblib.Parallel, "__call__", pressed)
    found = do.compare([do.read_instance(N5)], ["greedy"], seeds=1, output=tmp_path, jobs=2)
    assert (found.interrupted, found.records) == (True, ())
    assert len(started) == 2
    wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in started))
    monkeypatch.undo()
    again = do.compare([do.read_instance(N5)], ["greedy"], seeds=1, output=tmp_path, jobs=2)
    assert (again.interrupted, len(again.records)) == (False, 1)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_of_a_killed_process_the_run_alone_fails(
    jobs: str, tmp_path: Path, env: dict[str, str]
) -> None:
    given = words(N5, methods="greedy doomed random", output=tmp_path / "out", seeds=1)
    done = run([*given, "--jobs", jobs], env)
    assert (done.returncode, done.stderr) == (1, "")
    reason = "its process was killed, as for want of memory"
    assert f"failed: doomed on n5, seed 0: {reason}\n" in done.stdout
    runs = pd.read_csv(tmp_path / "out" / "runs.csv").set_index("method")
    assert runs.outcome.to_dict() == {"greedy": "plan", "doomed": "failed", "random": "plan"}


def test_one_comparison_at_a_time_works_at_a_folder(tmp_path: Path, env: dict[str, str]) -> None:
    output, hold = tmp_path / "out", tmp_path / "hold"
    given = [*words(N5, methods="greedy held", output=output, seeds=1), "--jobs", "1"]
    first = subprocess.Popen([*PROGRAM, *given], env=env, stdout=subprocess.DEVNULL)
    wait_for(lambda: hold.read_text() != "")
    before = (output / "runs.jsonl").read_bytes()
    for resume in (True, False):
        with pytest.raises(do.InputError) as error:
            do.compare([do.read_instance(N5)], ["greedy"], seeds=1, output=output, resume=resume)
        fault = "another program is at work there; let it end, or name another"
        assert str(error.value) == f"{output}/runs.jsonl: {fault}"
    assert (output / "runs.jsonl").read_bytes() == before
    hold.unlink()
    assert first.wait(timeout=60) == 0
    assert pd.read_csv(output / "runs.csv").outcome.tolist() == ["plan"] * 2

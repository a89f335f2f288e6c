"""`federate`: the same result however it is interrupted, resumed or combined."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dtkd_opt as do
from dtkd_opt.federation.figures import accuracy_figure, gantt
from dtkd_opt.records.instance import Instance
from tests.support.comparing import wait_for
from tests.support.federating import (
    FILES,
    PROGRAM,
    SHARES,
    calibration,
    instance,
    lines,
    plan,
    run,
    users,
    words,
    write,
)


def test_plans_together_share_equal_trainings(problem: Instance, tmp_path: Path) -> None:
    """One teacher, each training once, and the figures of each plan alone."""
    first, second = (do.solve(problem, name).solution for name in ("all-device", "price"))
    plans = {"a": do.FederationPlan(problem, first), "b": do.FederationPlan(problem, second)}
    again = {"c": do.FederationPlan(problem, second)} | plans
    output = tmp_path / "o"
    spec = do.FederationSpec(cache=tmp_path / "t")
    found = do.federate_all(again, spec, output=output)
    single = do.federate(problem, second, spec)
    assert ": 4 of 4 trained, accuracy 0." in repr(single)
    for name in ("b", "c"):
        assert (
            found[name].users.realised_accuracy.tolist() == single.users.realised_accuracy.tolist()
        )
        assert (output / name / "summary.md").exists()
    alike = (first.users.model == second.users.model) & (first.users.place == second.users.place)
    lines = (output / "users.jsonl").read_text().splitlines()
    assert len(lines) == 8 - int(alike.sum())
    assert len(os.listdir(tmp_path / "t")) == 1
    other = instance(shares=((99, 0.5, "server"), *SHARES[1:]))
    foreign = do.FederationPlan(other, do.solve(other, "price").solution)
    with pytest.raises(do.UsageError, match="for the same users, with the same samples"):
        do.federate_all(plans | {"d": foreign})
    with pytest.raises(do.UsageError, match="a plan cannot be named"):
        do.federate_all({"../d": plans["a"]})
    with pytest.raises(do.UsageError, match="give one or more"):
        do.federate_all({})


def test_python_twin_gives_the_same_and_figures_show_all_users(
    unbroken: Path, problem: Instance, solution: do.Solution, cache: Path
) -> None:
    seen: list[tuple[str, float, float]] = []
    spec = do.FederationSpec(cache=cache, jobs=1)
    found = do.federate(problem, solution, spec, callback=lambda *now: seen.append(now))
    assert found.users.realised_accuracy.tolist() == users(unbroken).realised_accuracy.tolist()
    assert {phase for phase, *_ in seen} == {"users"}  # the teacher was there
    assert seen[-1][1] == pytest.approx(seen[-1][2])
    (chart,) = gantt(found).axes
    bars = [patch.get_x() + patch.get_width() for patch in chart.patches]
    assert len(bars) == 2 * 4 + 2 * 2
    assert max(bars) == pytest.approx(found.users.delay_s.max())
    names = [text.get_text() for text in chart.get_yticklabels()]
    by_end = found.users.sort_values("delay_s")
    labels = by_end.name + " " + by_end.model + ", " + by_end.place
    assert names == labels.tolist()
    (axis,) = accuracy_figure(found).axes
    marks = np.concatenate([line.get_ydata() for line in axis.lines[:2]])
    assert sorted(marks) == pytest.approx(sorted(100 * found.users.realised_accuracy))


def test_another_seed_or_partition_is_another_training(
    unbroken: Path, problem: Instance, solution: do.Solution, cache: Path
) -> None:
    ours = users(unbroken).realised_accuracy.tolist()
    for more in ({"seed": 1}, {"partition": "dirichlet(0.3)"}):
        spec = do.FederationSpec(cache=cache, **more)  # type: ignore[arg-type]
        found = do.federate(problem, solution, spec)
        assert found.users.realised_accuracy.tolist() != ours
        with pytest.raises(do.InputError, match="holds other runs"):
            do.federate(problem, solution, spec, output=unbroken, resume=True)


def test_kill_9_then_resume_gives_the_same(
    unbroken: Path,
    small: Path,
    problem: Instance,
    solution: do.Solution,
    cache: Path,
    tmp_path: Path,
) -> None:
    journal = tmp_path / "users.jsonl"
    process = subprocess.Popen(
        words(small, cache, tmp_path, "--jobs", "1"), stdout=subprocess.DEVNULL
    )
    wait_for(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 1)
    process.kill()
    process.wait()
    before = journal.read_bytes()
    before = before[: before.rfind(b"\n") + 1]
    journal.write_bytes(before + before[:100])  # a torn line
    spec = do.FederationSpec(cache=cache)
    again = partial(do.federate, problem, solution, spec, output=tmp_path)
    with pytest.raises(do.UsageError, match="holds trainings: resume them"):
        again()
    again(resume=True)
    assert journal.read_bytes().startswith(before)
    assert sorted(row["spec"]["user"] for row in lines(tmp_path)) == ["u0", "u1", "u2", "u3"]
    pd.testing.assert_frame_equal(users(tmp_path), users(unbroken))


def test_ctrl_c_keeps_finished_users(unbroken: Path, cache: Path, tmp_path: Path) -> None:
    slow = instance("cnn_m", epochs=200)
    write(slow, plan(slow), tmp_path)
    journal = tmp_path / "o" / "users.jsonl"
    process = subprocess.Popen(
        words(tmp_path, cache, tmp_path / "o", "--jobs", "1"), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the workers too
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert error == "interrupted; users that are done are kept, --resume goes on\n"
    assert os.listdir(tmp_path / "o") == ["users.jsonl"]
    assert 1 <= len(lines(tmp_path / "o")) < 4


PRESS_AT = """
import signal, sys
from dtkd_opt.commands.main import main
import dtkd_opt.commands.federate
import dtkd_opt.federation.run
module, *names = sys.argv.pop(1).split(":")
*owners, name = names
owner = sys.modules[module]
for one in owners:
    owner = getattr(owner, one)
real = getattr(owner, name)
def press(*given, **named):
    signal.raise_signal(signal.SIGINT)
    return real(*given, **named)
setattr(owner, name, press)
main()
"""


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("dtkd_opt.records.instance:read_instance", 130),
        ("dtkd_opt.federation.run:prepare", 130),
        ("dtkd_opt.federation.run:_train_teacher", 130),
        ("dtkd_opt.federation.setup:Setup:cost", 130),
        ("dtkd_opt.commands.federate:_print", 0),
    ],
)
def test_ctrl_c_is_130_wherever_it_comes_before_the_files(
    where: str, code: int, small: Path, cache: Path, tmp_path: Path
) -> None:
    given = words(small, cache, tmp_path / "o")[len(PROGRAM) :]
    done = run([sys.executable, "-c", PRESS_AT, where, "federate", *given])
    assert done.returncode == code
    if code:
        message = "interrupted; users that are done are kept, --resume goes on\n"
        assert (done.stdout, done.stderr) == ("", message)
    else:
        assert done.stderr == ""
        assert "written: " in done.stdout


def test_ctrl_c_before_the_first_training_keeps_those_of_before(
    unbroken: Path, problem: Instance, solution: do.Solution, cache: Path, tmp_path: Path
) -> None:
    kept = (unbroken / "users.jsonl").read_text().splitlines(keepends=True)[:3]
    (tmp_path / "users.jsonl").write_text("".join(kept))
    found = do.federate(
        problem, solution, do.FederationSpec(cache=cache, jobs=1), output=tmp_path, resume=True,
        callback=lambda *now: signal.raise_signal(signal.SIGINT),
    )  # fmt: skip
    assert (found.interrupted, len(found.done)) == (True, 3)
    assert os.listdir(tmp_path) == ["users.jsonl"]


def test_a_user_that_fails_is_reported_and_gets_another_chance(
    small: Path, problem: Instance, solution: do.Solution, cache: Path, tmp_path: Path
) -> None:
    do.write_calibration(calibration(problem, cnn_rates=(1e30, 1e30)), tmp_path / "t.json")
    output = tmp_path / "o"
    given = words(small, cache, output, "--table", str(tmp_path / "t.json"))
    done = run(given)
    failed = set(solution.users.name[solution.users.model == "cnn_m"])
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == len(failed) > 0
    assert all(line.startswith("failed: u") for line in done.stderr.splitlines())
    found = users(output).set_index("name")
    assert set(found.index[found.outcome == "failed"]) == failed
    assert found.reason[list(failed)].str.contains("lower the learning rate").all()
    assert found.realised_accuracy.notna().sum() == 4 - len(failed)
    page = (output / "summary.md").read_text()
    assert "## Failed" in page
    assert "The calibration is of other data (digits) than this training (digits)." in page
    spec = do.FederationSpec(calibration=do.read_calibration(tmp_path / "t.json"), cache=cache)
    again = do.federate(problem, solution, spec, output=output, resume=True)
    assert set(again.failed.name) == failed
    names = [row["spec"]["user"] for row in lines(output)]
    assert sorted(names[4:]) == sorted(failed)  # the others were not trained again


def test_failed_rows_run_again_and_others_are_kept(
    unbroken: Path, problem: Instance, solution: do.Solution, cache: Path, tmp_path: Path
) -> None:
    rows = lines(unbroken)
    rows[1] |= {"outcome": "failed", "reason": "lost", "accuracy": None}
    text = "".join(json.dumps(row) + "\n" for row in rows[:3])
    (tmp_path / "users.jsonl").write_text(text)
    spec = do.FederationSpec(cache=cache)
    do.federate(problem, solution, spec, output=tmp_path, resume=True)
    again = {row["spec"]["user"] for row in lines(tmp_path)[3:]}
    assert again == {rows[1]["spec"]["user"], rows[3]["spec"]["user"]}
    pd.testing.assert_frame_equal(users(tmp_path), users(unbroken))


PRESS_LATE = """
import signal, sys
import dtkd_opt as do
from dtkd_opt.federation import run
real, pressed = run.write_results, []
def press(*given):
    signal.raise_signal(signal.SIGINT)
    real(*given)
    pressed.append(True)
run.write_results = press
folder, cache = sys.argv[1:]
given = do.read_instance(f"{folder}/i.json"), do.read_solution(f"{folder}/s.json")
try:
    do.federate(*given, do.FederationSpec(cache=cache, jobs=1), output=f"{folder}/o")
except KeyboardInterrupt:
    print("passed on, after the files" if pressed else "torn")
"""


def test_ctrl_c_while_files_are_written_reaches_the_caller_after_it(tmp_path: Path) -> None:
    tiny = instance("logreg", shares=((60, 0.5, "device"), (60, 0.25, "device")), epochs=1)
    write(tiny, do.solve(tiny, "all-device").solution, tmp_path)
    done = run([sys.executable, "-c", PRESS_LATE, str(tmp_path), str(tmp_path / "t")])
    assert (done.returncode, done.stdout) == (0, "passed on, after the files\n"), done.stderr
    assert sorted(os.listdir(tmp_path / "o")) == FILES
    page = (tmp_path / "o" / "summary.md").read_text()
    assert "Bits are sums" not in page  # all samples are whole

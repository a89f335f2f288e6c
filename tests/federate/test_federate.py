"""`federate`: what crosses, accuracies, files, resuming, faults. Digits, and short trainings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dtkd_opt as do
from dtkd_opt.federate.figures import accuracy_figure, gantt
from dtkd_opt.federate.report import summary
from dtkd_opt.records.instance import Instance
from tests.support.comparing import wait_for
from tests.support.federating import PROGRAM, instance, plan, table, write

FILES = ["accuracy.svg", "gantt.svg", "summary.md", "users.csv", "users.jsonl"]
TIMES = ["seconds", "cpu_s"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("teachers")


@pytest.fixture(scope="module")
def problem() -> Instance:
    return instance()


@pytest.fixture(scope="module")
def solution(problem: Instance) -> do.Solution:
    return plan(problem)


@pytest.fixture(scope="module")
def small(
    problem: Instance, solution: do.Solution, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return write(problem, solution, tmp_path_factory.mktemp("small"))


def words(small: Path, cache: Path, output: Path, *more: str) -> list[str]:
    given = [str(small / "i.json"), str(small / "s.json"), "--cache", str(cache)]
    return [*PROGRAM, *given, "--output", str(output), *more]


def run(given: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(given, capture_output=True, text=True, timeout=300, **more)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "users.jsonl").read_text().splitlines()]


def users(folder: Path) -> pd.DataFrame:
    """What the table says but for times."""
    return pd.read_csv(folder / "users.csv").drop(columns=TIMES)


@pytest.fixture(scope="module")
def unbroken(small: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    done = run(words(small, cache, folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"{folder / 'summary.md'}\n")
    return folder


def test_files_and_figures(unbroken: Path, solution: do.Solution) -> None:
    assert sorted(os.listdir(unbroken)) == FILES
    found = users(unbroken)
    assert set(found.outcome) == {"done"}
    assert found.predicted_accuracy.to_numpy() == pytest.approx(solution.users.accuracy)
    assert found.delay_s.to_numpy() == pytest.approx(solution.users.delay_s)
    pieces = found[["upload_s", "label_s", "train_s", "download_s"]].sum(axis=1)
    assert pieces.to_numpy() == pytest.approx(solution.users.delay_s)
    assert found.realised_accuracy.min() > 0.3  # a guess is right one time in ten
    assert (449 * found.realised_accuracy % 1).to_numpy() == pytest.approx(0, abs=1e-9)
    page = (unbroken / "summary.md").read_text()
    assert (
        f"| {found.predicted_accuracy.mean():.2%} | {found.realised_accuracy.mean():.2%} |" in page
    )
    assert "Calibration's" not in page
    assert "No table was given" in page


def test_what_crosses_is_what_the_plan_counts(unbroken: Path) -> None:
    """Within 2 %: each of the digits of 512 bits goes up with a byte of label."""
    found = users(unbroken)
    assert found.down_bits.tolist() == found.planned_down_bits.tolist()
    assert found.up_bits.tolist() == (found.planned_up_bits * (512 + 8) / 512).tolist()
    assert found.up_bits.sum() == pytest.approx(found.planned_up_bits.sum(), rel=0.02)
    assert found.up_bits.tolist() == [120 * 520, 0, 0, 0]
    assert found.down_bits[[1, 3]].tolist() == [90 * 320, 0]
    assert min(found.down_bits[[0, 2]]) > 0


def test_python_twin_gives_the_same_and_figures_show_all_users(
    unbroken: Path, problem: Instance, solution: do.Solution, cache: Path
) -> None:
    seen: list[tuple[str, float, float]] = []
    found = do.federate(
        problem, solution, cache=cache, jobs=1, follow=lambda *now: seen.append(now)
    )
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
        found = do.federate(problem, solution, cache=cache, **more)  # type: ignore[arg-type]
        assert found.users.realised_accuracy.tolist() != ours
        again = {"output": unbroken, "resume": True, "cache": cache}
        with pytest.raises(do.InputError, match="holds runs that are not asked for"):
            do.federate(problem, solution, **again, **more)  # type: ignore[arg-type]


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
    again = partial(do.federate, problem, solution, cache=cache, output=tmp_path)
    with pytest.raises(do.UsageError, match="holds trainings: resume them"):
        again()
    again(resume=True)
    assert journal.read_bytes().startswith(before)
    assert sorted(row["spec"]["user"] for row in lines(tmp_path)) == ["u0", "u1", "u2", "u3"]
    pd.testing.assert_frame_equal(users(tmp_path), users(unbroken))


def test_ctrl_c_keeps_what_is_done(unbroken: Path, cache: Path, tmp_path: Path) -> None:
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
import dtkd_opt.federate.run
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
        ("dtkd_opt.federate.run:prepare", 130),
        ("dtkd_opt.federate.run:_teach", 130),
        ("dtkd_opt.federate.setup:Scene:effort", 130),
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
        told = "interrupted; users that are done are kept, --resume goes on\n"
        assert (done.stdout, done.stderr) == ("", told)
    else:
        assert done.stderr == ""
        assert "written: " in done.stdout


def test_ctrl_c_before_the_first_training_keeps_those_of_before(
    unbroken: Path, problem: Instance, solution: do.Solution, cache: Path, tmp_path: Path
) -> None:
    kept = (unbroken / "users.jsonl").read_text().splitlines(keepends=True)[:3]
    (tmp_path / "users.jsonl").write_text("".join(kept))
    found = do.federate(
        problem, solution, cache=cache, jobs=1, output=tmp_path, resume=True,
        follow=lambda *now: signal.raise_signal(signal.SIGINT),
    )  # fmt: skip
    assert (found.interrupted, len(found.done)) == (True, 3)
    assert os.listdir(tmp_path) == ["users.jsonl"]


def test_a_user_that_fails_is_reported_and_gets_another_chance(
    small: Path, problem: Instance, solution: do.Solution, cache: Path, tmp_path: Path
) -> None:
    do.write_calibration(table(problem, cnn_rates=(1e30, 1e30)), tmp_path / "t.json")
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
    assert "The table is of other data (digits) than what is learnt here (digits)." in page
    broken = do.read_calibration(tmp_path / "t.json")
    again = do.federate(problem, solution, table=broken, cache=cache, output=output, resume=True)
    assert set(again.failed.name) == failed
    names = [row["spec"]["user"] for row in lines(output)]
    assert sorted(names[4:]) == sorted(failed)  # the others were not trained again


def test_failed_rows_are_done_again_and_others_kept(
    unbroken: Path, problem: Instance, solution: do.Solution, cache: Path, tmp_path: Path
) -> None:
    rows = lines(unbroken)
    rows[1] |= {"outcome": "failed", "reason": "lost", "accuracy": None}
    text = "".join(json.dumps(row) + "\n" for row in rows[:3])
    (tmp_path / "users.jsonl").write_text(text)
    do.federate(problem, solution, cache=cache, output=tmp_path, resume=True)
    again = {row["spec"]["user"] for row in lines(tmp_path)[3:]}
    assert again == {rows[1]["spec"]["user"], rows[3]["spec"]["user"]}
    pd.testing.assert_frame_equal(users(tmp_path), users(unbroken))


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"data": "imagenet"}, "there are digits, fashion-mnist, npz:FILE"),
        ({"engine": "steam"}, 'engine must be one of in-process.*, got "steam"'),
        ({"jobs": 0}, "jobs must be"),
        ({"seed": -1}, "seed must be a whole number from 0 to 18446744073709551615, got -1"),
        ({"seed": 2**64}, "seed must be a whole number .*, got 18446744073709551616"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"partition": "by hand"}, "partition must be iid or"),
    ],
)
def test_wrong_use_is_said_before_anything_is_trained(
    given: dict[str, Any], part: str, tmp_path: Path, problem: Instance, solution: do.Solution
) -> None:
    with pytest.raises(do.UsageError, match=part):
        do.federate(problem, solution, output=tmp_path / "o", cache=tmp_path / "c", **given)
    assert os.listdir(tmp_path) == []


PRESS_LATE = """
import signal, sys
import dtkd_opt as do
from dtkd_opt.federate import run
real, pressed = run.write_results, []
def press(*given):
    signal.raise_signal(signal.SIGINT)
    real(*given)
    pressed.append(True)
run.write_results = press
folder, cache = sys.argv[1:]
given = do.read_instance(f"{folder}/i.json"), do.read_solution(f"{folder}/s.json")
try:
    do.federate(*given, cache=cache, output=f"{folder}/o", jobs=1)
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


def test_the_summary_tells_that_samples_are_whole(cache: Path) -> None:
    odd = instance("logreg", shares=((60, 0.5, "server"), (91, 0.5, "server")), epochs=1)
    found = do.federate(odd, do.solve(odd, "all-server").solution, cache=cache, jobs=1)
    told = "samples are whole (u1: 46 fresh ones for 45.5 planned)."
    assert told in summary(found)
    assert found.users.up_bits[1] == 46 * 520


def test_plans_that_do_not_hold_are_refused(
    problem: Instance, solution: do.Solution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = partial(do.federate, output=tmp_path / "o", cache=tmp_path / "c")
    greedy = [user.model_copy(update={"uplink_hz": 1e9}) for user in solution.users]
    with pytest.raises(do.InputError, match=r"uplink pool of .* is overdrawn"):
        ask(problem, solution.model_copy(update={"users": greedy}))
    model = problem.models[0].model_copy(update={"name": "vgg"})
    other = problem.model_copy(update={"models": (model,)})
    with pytest.raises(do.InputError, match='uses "vgg", which cannot be trained'):
        ask(other, do.solve(other, "greedy").solution)
    assert os.listdir(tmp_path) == []
    for engine in ("flower", "flower-simulation"):
        monkeypatch.setitem(sys.modules, "flwr", None)
        with pytest.raises(do.InputError, match=r'needs flwr: pip .*"dtkd-opt\[federated\]"'):
            ask(problem, solution, engine=engine)
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(do.InputError, match=r'needs joblib: pip install "dtkd-opt\[train\]"'):
        ask(problem, solution)

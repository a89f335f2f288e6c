"""The sweep over ρ: proven points, an edge that no plan is beyond, its files and its words."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.analysis.pareto_files import evaluate_plans, write_front
from dtkd_opt.commands.main import cli
from tests.support.paths import INSTANCES
from tests.support.strategies import instances

GAP = 1e-6
pareto: Any = sys.modules["dtkd_opt.analysis.pareto"]  # `do.pareto` is its function


@pytest.fixture(scope="module")
def front() -> do.ParetoFront:
    return do.pareto(do.read_instance(INSTANCES / "n20.json"), points=7)


def test_every_plan_is_proven_for_its_own_weight(front: do.ParetoFront) -> None:
    own = front.instance.seconds_per_error
    assert front.weights == pytest.approx(own * np.geomspace(0.1, 10, 7))
    for weight, result in zip(front.weights, front.results, strict=True):
        weighted = front.instance.replace(seconds_per_error=weight)
        again = do.solve(weighted, "exact", gap=1e-8)
        assert result.gap <= GAP
        assert result.bound <= again.objective * (1 + 1e-12)
        assert result.objective == pytest.approx(again.objective, rel=2 * GAP)
        assert do.check(result.instance, result.solution) == []


def test_more_weight_never_buys_less_accuracy(front: do.ParetoFront) -> None:
    """Two optima at ρ < ρ' have a ≤ a' and T ≤ T': by adding the two optimality conditions."""
    allowed = GAP * front.frame.objective.max() / np.diff(front.weights).min()
    assert (np.diff(front.frame.mean_accuracy) >= -allowed).all()
    assert (np.diff(front.frame.total_delay_s) >= -allowed * front.weights.max() * 20).all()


def test_its_plans_lie_at_the_edge(front: do.ParetoFront) -> None:
    edge = front.min_delay(front.frame.mean_accuracy.to_numpy())
    delay = front.frame.total_delay_s.to_numpy()
    assert (edge <= delay * (1 + 1e-12)).all()
    room = 20 * 2 * GAP * front.frame.objective.to_numpy()
    assert (edge >= delay - room).all()


@settings(max_examples=15, deadline=None)
@given(instance=instances(max_users=4, limits=False), seed=st.integers(0, 99))
def test_no_plan_crosses_the_edge(instance: do.Instance, seed: int) -> None:
    front = do.pareto(instance, points=3, min_weight=0.5, max_weight=500.0)
    for method in ("random", "greedy", "all-device"):
        plan = do.solve(instance, method, seed=seed).solution
        if plan.users:
            min_delay = front.min_delay(plan.mean_accuracy)
            assert plan.total_delay_s >= min_delay * (1 - 1e-9)


def test_the_table_and_the_figure_are_written(front: do.ParetoFront, tmp_path: Path) -> None:
    plan = do.solve(front.instance, "greedy").solution
    do.write_solution(plan, tmp_path / "greedy.solution.json")
    beside = evaluate_plans(front.instance, [tmp_path / "greedy.solution.json"])
    assert beside["greedy"].total_delay_s == pytest.approx(plan.total_delay_s)
    table, figure = write_front(front, tmp_path / "p.csv", beside)
    read = pd.read_csv(table)
    assert read.mean_accuracy.to_numpy() == pytest.approx(front.frame.mean_accuracy.to_numpy())
    drawn = figure.read_bytes()
    assert b"<svg" in drawn
    write_front(front, tmp_path / "p.csv", beside)
    assert figure.read_bytes() == drawn


def test_ctrl_c_keeps_the_weights_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    from dtkd_opt.methods import price

    calls = iter([False, False, True])
    own = price.price_and_round

    def interrupted(*given: object, **named: object) -> object:
        point = own(*given, **named)
        if next(calls):
            raise KeyboardInterrupt
        return point

    monkeypatch.setattr(price, "price_and_round", interrupted)
    front = do.pareto(do.read_instance(INSTANCES / "n5.json"), points=7)
    assert front.interrupted
    assert len(front.results) == len(front.weights) == len(front.frame) == 2  # the proven ones
    assert set(front.frame.status) == {"optimal"}


PRESS_AT = """
import signal, sys
from dtkd_opt.analysis import pareto
real, calls, at, after = pareto.solve, [], int(sys.argv.pop(1)), sys.argv.pop(1) == "after"
def press(*given, **limits):
    calls.append(given)
    if len(calls) == at and not after:
        signal.raise_signal(signal.SIGINT)
    found = real(*given, **limits)
    if len(calls) == at:
        signal.raise_signal(signal.SIGINT)
    return found
pareto.solve = press
from dtkd_opt.commands.main import main; main()
"""


@pytest.mark.parametrize(("at", "when", "kept"), [(1, "before", 0), (3, "before", 2),
                                                  (3, "after", 2)])  # fmt: skip
def test_ctrl_c_between_two_weights(at: int, when: str, kept: int, tmp_path: Path) -> None:
    words = ["pareto", str(INSTANCES / "n5.json"), "--points", "5", "--output", "p.csv"]
    done = subprocess.run(
        [sys.executable, "-c", PRESS_AT, str(at), when, *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if kept:
        assert (done.returncode, done.stderr) == (0, f"interrupted; {kept} of 5 weights are done\n")
        assert len(pd.read_csv(tmp_path / "p.csv")) == kept
    else:
        assert (done.returncode, done.stderr.strip()) == (1, "interrupted; nothing was written")
        assert list(tmp_path.iterdir()) == []


def without_plans(monkeypatch: pytest.MonkeyPatch, first: int, termination: str) -> do.Instance:
    """An instance whose weights from `first` on have no plan, for this reason."""
    real, calls = pareto.solve, itertools.count()

    def plan(*given: Any, **limits: Any) -> do.Result:
        found = real(*given, **limits)
        if next(calls) < first:
            return found
        lost = found.solution.replace(termination=termination, status="unknown")
        return replace(found, solution=lost, incumbent=None, reason="no plan")

    monkeypatch.setattr(pareto, "solve", plan)
    return do.read_instance(INSTANCES / "n5.json")


@pytest.mark.parametrize("termination", ["time_limit", "interrupted"])
def test_a_weight_without_a_plan_ends_the_sweep_and_keeps_what_was_before(
    termination: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = do.pareto(without_plans(monkeypatch, 2, termination), points=5)
    assert (len(front.results), front.interrupted) == (2, termination == "interrupted")
    raised = {"time_limit": do.InfeasibleError, "interrupted": KeyboardInterrupt}
    with pytest.raises(raised[termination]):
        do.pareto(without_plans(monkeypatch, 0, termination), points=5)


def test_ctrl_c_in_the_last_weight_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = pareto.solve, itertools.count(1)

    def press(*given: Any, **limits: Any) -> do.Result:
        found = real(*given, **limits)
        if next(calls) < 3:
            return found
        solution = found.solution.replace(termination="interrupted")
        return replace(found, solution=solution)

    monkeypatch.setattr(pareto, "solve", press)
    front = do.pareto(do.read_instance(INSTANCES / "n5.json"), points=3)
    assert (len(front.results), front.interrupted) == (3, True)


@pytest.mark.parametrize(
    ("output", "error", "said"),
    [
        ("x.svg", do.UsageError, "x.svg is also the name of a file beside the table; name it .csv"),
        ("n5.json", do.UsageError, "n5.json would be overwritten; name another --output"),
        ("./n5.json", do.UsageError, "n5.json would be overwritten"),
        ("n.parquet", do.UsageError, "n.parquet is named like a table of users; name it .csv"),
        ("greedy.csv", do.UsageError, "greedy.svg would be overwritten"),
        ("no/x.csv", do.InputError, "no/x.csv: cannot be written: No such file or directory"),
        (".", do.InputError, ".: cannot be written: Is a directory"),
        ("folder.csv", do.InputError, "folder.svg: cannot be written: Is a directory"),
    ],
)
def test_files_that_cannot_be_written_are_found_before_the_sweep(
    output: str,
    error: type[Exception],
    said: str,
    front: do.ParetoFront,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(INSTANCES / "n5.json", "n5.json")
    Path("n.parquet").write_text("a table of users, which an instance of any name may be of")
    Path("folder.svg").mkdir()
    plan = do.solve(do.read_instance(Path("n5.json")), "greedy").solution
    do.write_solution(plan, Path("greedy.svg"))  # of whatever name
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    monkeypatch.setattr(pareto, "_sweep", None)  # never called
    words = ["pareto", "n5.json", "--beside", "greedy.svg", "--output", output]
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, error)
    assert said in str(done.exception)
    if output in ("x.svg", "no/x.csv", "folder.csv"):
        with pytest.raises(error):
            write_front(front, Path(output))
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == before


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "front.csv"
    words = ["pareto", str(INSTANCES / "n5.json"), "--points", "3", "--output", str(file)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert f"written: {file} and {file.with_suffix('.svg')}" in done.output.replace("\n", "")
    assert len(pd.read_csv(file)) == 3


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--points", "1"], "points must be at least 2"),
        (["--min-weight", "5", "--max-weight", "2"], "must be 0 < min_weight < max_weight"),
        (["--gap", "-1"], "gap must be"),
    ],
)
def test_numbers_that_mean_nothing(words: list[str], part: str, tmp_path: Path) -> None:
    file = str(tmp_path / "front.csv")
    words = ["pareto", str(INSTANCES / "n5.json"), *words, "--output", file]
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, do.UsageError)
    assert part in str(done.exception)


def test_a_weight_of_nothing_has_no_range() -> None:
    instance = do.read_instance(INSTANCES / "n5.json")
    free = instance.replace(seconds_per_error=0.0)
    with pytest.raises(do.UsageError, match="give min_weight and max_weight"):
        do.pareto(free)
    assert len(do.pareto(free, points=2, min_weight=1, max_weight=9).results) == 2


def test_plans_beside_must_be_of_the_same_users(front: do.ParetoFront, tmp_path: Path) -> None:
    other = do.solve(do.read_instance(INSTANCES / "n5.json"), "greedy").solution
    do.write_solution(other, tmp_path / "n5.json")
    with pytest.raises(do.InputError, match=r"n5\.json"):
        evaluate_plans(front.instance, [tmp_path / "n5.json"])

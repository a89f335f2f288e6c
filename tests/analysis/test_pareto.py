"""The sweep over ρ: proven points, an edge that no plan is beyond, Ctrl-C."""

from __future__ import annotations

import itertools
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from tests.support.paths import INSTANCES
from tests.support.strategies import instances

GAP = 1e-6
pareto: Any = import_module("dtkd_opt.analysis.pareto")  # `do.pareto` is its function


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
    assert front.reason == ("" if front.interrupted else "no plan")
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


def test_without_a_plan_the_broken_limits_are_named_as_by_solve() -> None:
    instance = do.read_instance(INSTANCES / "n20-deadlines.json")
    first, *others = instance.users
    late = instance.replace(users=(first.replace(deadline_s=1e-3), *others))
    with pytest.raises(do.InfeasibleError) as raised:
        do.pareto(late)
    assert str(raised.value) == do.solve(late).reason
    assert 'users[0] "u0"' in str(raised.value)
    assert "deadline_s 0.001" in str(raised.value)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"min_weight": 0.0}, r"min_weight must be seconds above 0 and below 1e.30, got 0.0"),
        (
            {"min_weight": float("nan")},
            r"min_weight must be seconds .* got nan",
        ),
        (
            {"max_weight": float("inf")},
            r"max_weight must be seconds .* got inf",
        ),
        ({"min_weight": 1.0, "max_weight": 1e31}, r"max_weight must be seconds .* got 1e\+31"),
        ({"min_weight": 5e3}, "min_weight: must be 0 < min_weight < max_weight, got 5000 and 1000"),
    ],
)
def test_a_weight_that_breaks_a_limit_is_told_which(given: dict[str, float], fault: str) -> None:
    with pytest.raises(do.UsageError, match=f"^{fault}$"):
        do.pareto(do.read_instance(INSTANCES / "n5.json"), **given)  # type: ignore[arg-type]


def test_a_default_that_breaks_a_limit_says_whose_it_is() -> None:
    heavy = do.read_instance(INSTANCES / "n5.json").replace(seconds_per_error=5e29)
    with pytest.raises(do.UsageError, match=r"got 5e.30, from the instance's own .* give another"):
        do.pareto(heavy)


def test_a_weight_of_nothing_has_no_range() -> None:
    instance = do.read_instance(INSTANCES / "n5.json")
    free = instance.replace(seconds_per_error=0.0)
    with pytest.raises(do.UsageError, match="give min_weight and max_weight"):
        do.pareto(free)
    assert len(do.pareto(free, points=2, min_weight=1, max_weight=9).results) == 2

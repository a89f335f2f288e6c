"""How `exact` ends before its gap is proven: the best plan and a valid bound are kept."""

from __future__ import annotations

import _thread
import math
from typing import Any

import pytest

import dtkd_opt as do
from dtkd_opt.methods.exact import OuterApproximation
from dtkd_opt.methods.search import Search
from dtkd_opt.solvers.highs import PersistentMilp

NO_FIXING = do.Exact(fixing=False)


def test_time_limit_keeps_a_plan_and_a_valid_bound() -> None:
    instance = do.generate_instance(60, 4, 0)
    result = do.solve(instance, "exact", gap=0.0, time_limit=0.5)
    assert result.solution.termination == "time_limit"
    assert result.status == "feasible"
    assert do.check(instance, result.solution) == []
    assert result.bound < result.objective


def test_ctrl_c_during_highs_keeps_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    on_callback, pressed = PersistentMilp._on_callback, []

    def press_twice(self: PersistentMilp, event: object) -> None:
        if not pressed:
            pressed.extend([_thread.interrupt_main(), _thread.interrupt_main()])
        on_callback(self, event)

    monkeypatch.setattr(PersistentMilp, "_on_callback", press_twice)
    result = do.solve(do.generate_instance(60, 4, 0), "exact", gap=0.0)
    instance = result.instance
    assert pressed
    assert result.solution.termination == "interrupted"
    assert do.check(instance, result.solution) == []
    assert -math.inf < result.bound <= result.objective


def highs_rounds(result: do.Result) -> set[str]:
    return {p.phase for p in result.history if p.phase.startswith("HiGHS")}


def test_round_limit() -> None:
    """One round where a proof takes several."""
    instance = do.generate_instance(12, 2)
    assert len(highs_rounds(do.solve(instance, NO_FIXING, gap=1e-9))) > 1
    result = do.solve(instance, NO_FIXING, gap=0.0, iterations=1)
    assert result.solution.termination == "iteration_limit"
    assert result.status == "feasible"
    assert highs_rounds(result) == {"HiGHS round 1"}
    assert do.check(instance, result.solution) == []
    assert -math.inf < result.bound < result.objective


@pytest.mark.parametrize(
    ("where", "step"),
    [(Search, "try_incumbent"), (OuterApproximation, "solve"), (OuterApproximation, "add_cuts")],
    ids=["rounding", "HiGHS", "its choice"],
)
def test_arithmetic_that_fails_keeps_the_plan(
    where: type, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once there is an incumbent, the next step loses its way to rounding."""
    original, failed = getattr(where, step), []

    def fail(self: Any, *given: Any) -> Any:
        if (self if where is Search else self.search).incumbent is None:
            return original(self, *given)
        failed.append(step)
        raise ArithmeticError("no way on")

    monkeypatch.setattr(where, step, fail)
    instance = do.generate_instance(12, 2)
    result = do.solve(instance, "exact", gap=0.0)
    assert failed == [step]
    assert result.solution.termination == "stalled"
    assert result.status == "feasible"
    assert "no way on" in result.reason
    assert len(result.solution.users) == 12
    assert do.check(instance, result.solution) == []
    assert -math.inf < result.bound < result.objective


def test_progress_is_monotone() -> None:
    seen: list[do.Progress] = []
    do.solve(do.generate_instance(30, 2, 1), callback=seen.append)
    bounds, incumbents = [p.bound for p in seen], [p.incumbent for p in seen]
    assert incumbents == sorted(incumbents, reverse=True)
    assert all(b <= i * (1 + 1e-12) for b, i in zip(bounds, incumbents, strict=True))
    assert {"prices", "rounding"} <= {p.phase for p in seen}

"""`exact` against enumeration, its bound, how it ends early, and instances without a plan."""

from __future__ import annotations

import _thread
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.methods.exact import OuterApproximation
from dtkd_opt.methods.registry import make_method
from dtkd_opt.methods.search import Search
from dtkd_opt.problem.options import pool_delays
from dtkd_opt.solvers.highs import PersistentMilp
from tests.support.options import all_choices, mean_objective
from tests.support.paths import DATA, INSTANCES
from tests.support.strategies import instances

NO_FIXING = do.Exact(fixing=False)


def enumerate_optimum(instance: do.Instance) -> float:
    """Least J over all choices, each allocated exactly; inf if no choice is feasible."""
    try:
        options = do.build_options(instance)
    except do.InfeasibleError:
        return math.inf
    return min(mean_objective(options, choice) for choice in all_choices(options))


def small_instance(seed: int, users: int, servers: int, limits: float) -> do.Instance:
    """A few users with two students, so that all choices can be enumerated."""
    params = do.GeneratorSettings(deadlines=limits, energy_budgets=limits, accuracy_floors=limits)
    instance = do.generate_instance(users, servers, seed, params)
    floors = [u.replace(min_accuracy=None) for u in instance.users]
    return instance.replace(
        models=instance.models[2:5:2], users=tuple(floors if limits > 0.9 else instance.users)
    )


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    users=st.integers(1, 3),
    servers=st.integers(1, 2),
    limits=st.sampled_from([0.0, 0.5, 1.0]),
    squeeze=st.sampled_from([1.0, 0.7, 0.4]),
)
def test_exact_finds_the_enumerated_optimum(
    seed: int, users: int, servers: int, limits: float, squeeze: float
) -> None:
    instance = squeezed(small_instance(seed, users, servers, limits), squeeze)
    best = enumerate_optimum(instance)
    for method in ("exact", NO_FIXING):
        result = do.solve(instance, method, gap=1e-7)
        if math.isinf(best):
            assert result.status == "infeasible"
            assert result.reason
            continue
        assert result.status == "optimal"
        assert result.objective == pytest.approx(best, rel=2e-7)
        assert result.bound <= best * (1 + 1e-9)
        assert do.check(instance, result.solution) == []


@settings(max_examples=20, deadline=None)
@given(instance=instances(max_users=3, max_servers=2, max_models=2, limits=True))
def test_exact_on_instances_of_any_magnitude(instance: do.Instance) -> None:
    """Pools, gains, delays and prices over many orders of magnitude; zero ρ, zero fresh samples."""
    best = enumerate_optimum(instance)
    for method in ("exact", NO_FIXING):
        result = do.solve(instance, method)
        if math.isinf(best):
            assert result.status == "infeasible"
            continue
        # HiGHS alone may lose digits of a delay far below the others: it must not claim a proof
        assert result.status == "optimal" or method is NO_FIXING
        if result.status == "optimal":
            assert result.objective == pytest.approx(best, rel=1.1e-6)
        assert result.bound <= best * (1 + 1e-9)
        assert do.check(instance, result.solution) == []


def squeezed(instance: do.Instance, factor: float) -> do.Instance:
    """The instance with all deadlines multiplied: below one, some become impossible."""
    users = tuple(
        u.replace(deadline_s=u.deadline_s * factor) if u.deadline_s else u for u in instance.users
    )
    return instance.replace(users=users)


def test_no_fixing_proves_by_highs_alone() -> None:
    instance = do.read_instance(INSTANCES / "n20.json")
    result = do.solve(instance, NO_FIXING)
    assert result.status == "optimal"
    before = [p for p in result.history if not p.phase.startswith("HiGHS")]
    assert all(p.bound == -math.inf for p in before)


def test_user_without_an_option_is_named() -> None:
    instance = do.generate_instance(4, 1, 0)
    users = list(instance.users)
    users[2] = users[2].replace(deadline_s=1e-6)
    result = do.solve(instance.replace(users=tuple(users)))
    assert result.status == "infeasible"
    assert 'users[2] "u2"' in result.reason
    assert "deadline_s 1e-06" in result.reason
    assert result.solution.users == ()


def test_pools_that_cannot_serve_all_deadlines_are_named() -> None:
    instance = do.generate_instance(30, 1, 0)
    options = do.build_options(instance)
    pools = pool_delays(options, options.capacity[:, options.server])
    delay = options.device_delay_s + pools.sum(axis=0)
    min_delay = np.minimum.reduceat(delay, options.start[:-1])
    users = tuple(
        u.replace(deadline_s=float(1.05 * min_delay[n])) for n, u in enumerate(instance.users)
    )
    result = do.solve(instance.replace(users=users))
    assert result.status == "infeasible"
    assert "edge-0" in result.reason
    assert "times the servers' pools" in result.reason


def test_settings_of_another_method_are_refused() -> None:
    with pytest.raises(do.UsageError, match="holds no settings of exact"):
        make_method("exact", do.Price(), "settings")
    with pytest.raises(do.UsageError, match="no method"):
        do.solve(do.generate_instance(3), "magic")


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("deadlines-at-the-edge-1", 19.489418),
        ("deadlines-at-the-edge-2", 18.902839),
        ("large-rho-1", 161443750.224),
        ("large-rho-2", 137294395.540),
    ],
)
def test_hard_numerics_never_give_a_false_proof(name: str, best: float) -> None:
    """Once proven wrong: deadlines that can only just be kept, and error costs of 1e8 seconds.

    The best values are known plans, recomputed by `check`; the enumeration agrees with them.
    """
    instance = do.read_instance(DATA / "edge" / f"{name}.json")
    for method in ("exact", NO_FIXING):
        result = do.solve(instance, method, time_limit=20)
        assert do.check(instance, result.solution) == []
        assert result.objective == pytest.approx(best, rel=1e-6)
        assert result.bound <= best * (1 + 1e-7)


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

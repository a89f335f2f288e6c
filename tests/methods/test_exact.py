"""`exact` against enumeration, its bound, and instances without a plan."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.methods.registry import make_method
from dtkd_opt.methods.search import Search
from dtkd_opt.methods.stop import Stop
from dtkd_opt.problem.options import pool_delays
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


def test_unknown_highs_option_is_refused() -> None:
    params = do.Exact(fixing=False, highs=do.HighsSettings(options={"no_such_option": 1}))
    with pytest.raises(do.UsageError, match="no_such_option"):
        do.solve(do.generate_instance(5), params)


def test_highs_log_is_written(tmp_path: Path) -> None:
    log = tmp_path / "highs.log"
    params = do.Exact(fixing=False, highs=do.HighsSettings(log_file=str(log), threads=1))
    do.solve(do.generate_instance(8), params)
    assert "HiGHS" in log.read_text()


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


def test_a_bound_above_a_plan_proves_nothing() -> None:
    """A bound above a feasible plan is a contradiction: it is not used, and nothing is proven."""
    instance = do.generate_instance(3)
    options = do.build_options(instance)
    search = Search(instance, options, Stop(gap=1.0))
    search.try_incumbent(options.start[:-1])
    search.raise_bound(2 * search.objective)
    assert search.bound_invalid
    assert not search.proven
    assert search.bound == -math.inf
    late = Search(instance, options, Stop(gap=1.0))
    late.raise_bound(2 * search.objective)
    late.try_incumbent(options.start[:-1])
    assert late.bound_invalid
    assert late.bound == -math.inf

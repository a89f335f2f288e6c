"""`price` against enumeration and `exact`, and where it lets HiGHS prove what branching cannot."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.methods import price
from dtkd_opt.methods.branching import Branching
from dtkd_opt.methods.exact import OuterApproximation
from tests.support.instances import small_instance, user
from tests.support.options import all_choices, mean_objective, whole_pools
from tests.support.paths import INSTANCES
from tests.support.strategies import instances

GAP = 1e-9

SEEDS = st.integers(0, 10_000)
LIMITS = do.GeneratorSettings(deadlines=0.5, energy_budgets=0.5)


def enumerate_optimum(instance: do.Instance, max_choices: float = 600) -> float:
    """Minimum of J over all choices, each allocated exactly; inf if no choice is feasible."""
    try:
        options = do.build_options(instance)
    except do.InfeasibleError:
        return math.inf
    if np.prod(np.diff(options.start).astype(float)) > max_choices:
        assume(False)
    return min(mean_objective(options, choice) for choice in all_choices(options))


def check_against_enumeration(instance: do.Instance) -> None:
    best = enumerate_optimum(instance)
    result = do.solve(instance, "price", gap=1e-7)
    if math.isinf(best):
        assert result.status == "infeasible"
        assert result.reason
        return
    assert result.status == "optimal"
    assert result.objective == pytest.approx(best, rel=1.1e-7)
    assert result.bound <= best * (1 + 1e-9)
    assert do.check(instance, result.solution) == []


def changed_users(instance: do.Instance, update: dict[str, Any]) -> do.Instance:
    users = tuple(one.replace(**update) for one in instance.users)
    return instance.replace(users=users)


# --- against enumeration


@settings(max_examples=30, deadline=None)
@given(
    instance=instances(max_users=3, max_servers=2, max_models=2),
    shift=st.lists(st.sampled_from([-4, -2, 0, 2]), min_size=6, max_size=6),
    fresh=st.sampled_from([None, 0.0, 1.0]),
)
def test_price_finds_the_enumerated_optimum(
    instance: do.Instance, shift: list[int], fresh: float | None
) -> None:
    """Any magnitude, gains over twelve decades, limits, nothing or everything fresh."""
    users = []
    for n, one in enumerate(instance.users):
        factors = [10.0 ** shift[(2 * n + s) % 6] for s in range(len(one.channel_gain))]
        gains = [g and g * f for g, f in zip(one.channel_gain, factors, strict=True)]
        update: dict[str, Any] = {"channel_gain": tuple(gains)}
        if fresh is not None:
            update["fresh_fraction"] = fresh
        users.append(one.replace(**update))
    instance = instance.replace(users=tuple(users))
    check_against_enumeration(instance)


@settings(max_examples=15, deadline=None)
@given(
    seed=SEEDS,
    users=st.integers(1, 3),
    servers=st.integers(1, 2),
    squeeze=st.sampled_from([1.0, 0.85, 0.7, 0.4]),
)
def test_price_with_tight_deadlines(seed: int, users: int, servers: int, squeeze: float) -> None:
    """Deadlines that can be kept, and the same ones shortened until some cannot."""
    instance = do.generate_instance(users, servers, seed, LIMITS)
    users = tuple(
        one.replace(deadline_s=one.deadline_s and one.deadline_s * squeeze)
        for one in instance.users
    )
    students = instance.models[2:5:2]
    instance = instance.replace(models=students, users=users)
    check_against_enumeration(instance)


UNPROVEN = ((2, 1.8), (3, 1.8))  # no plan exists, see the test that follows


def close_deadlines(seed: int, factor: float) -> do.Instance:
    """Three users with two students; deadlines are a multiple of their delays without others."""
    instance = do.generate_instance(3, 2, seed)
    instance = instance.replace(models=instance.models[2:5:2])
    options = do.build_options(instance)
    delay = options.device_delay_s + whole_pools(options).sum(axis=0)
    min_delay = np.minimum.reduceat(delay, options.start[:-1])
    users = tuple(
        one.replace(deadline_s=float(factor * min_delay[n])) for n, one in enumerate(instance.users)
    )
    return instance.replace(users=users)


def test_infeasible_exactly_where_enumeration_finds_no_plan() -> None:
    """Each user alone could keep its deadline; together some cannot."""
    verdicts = []
    for seed in range(5):
        for factor in (1.2, 1.5, 1.8, 2.4):
            if (seed, factor) in UNPROVEN:
                continue
            instance = close_deadlines(seed, factor)
            best = enumerate_optimum(instance)
            result = do.solve(instance, "price", gap=1e-7)
            expected = "infeasible" if math.isinf(best) else "optimal"
            assert result.status == expected, (seed, factor, result.reason)
            if result.status == "optimal":
                assert result.objective == pytest.approx(best, rel=1.1e-7)
            verdicts.append(result.status)
    assert 3 <= verdicts.count("infeasible") <= len(verdicts) - 3


@pytest.mark.parametrize(("seed", "factor"), UNPROVEN)
def test_infeasible_where_branching_must_prove_it(seed: int, factor: float) -> None:
    instance = close_deadlines(seed, factor)
    assert math.isinf(enumerate_optimum(instance))
    assert do.solve(instance, "exact").status == "infeasible"
    assert do.solve(instance, "price").status == "infeasible"


@pytest.mark.parametrize("fresh", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_copies_of_one_user_tie(count: int, fresh: float) -> None:
    users = [user(f"u{n}", fresh_fraction=fresh) for n in range(count)]
    check_against_enumeration(small_instance(*users))


def test_a_server_that_nobody_reaches() -> None:
    users = [user(f"u{n}", channel_gain=(1e-11 / (n + 1), None)) for n in range(3)]
    check_against_enumeration(small_instance(*users))


def test_one_model_leaves_two_places() -> None:
    instance = small_instance(user("a"), user("b", samples=150))
    check_against_enumeration(instance.replace(models=instance.models[:1]))


@pytest.mark.parametrize("method", ["price", "exact"])
def test_one_option_a_user(method: str) -> None:
    """Users whose deadlines leave each its fastest option only."""
    instance = do.generate_instance(3, 1, 0)
    options = do.build_options(instance)
    delay = options.device_delay_s + whole_pools(options).sum(axis=0)
    users = []
    for n, one in enumerate(instance.users):
        fastest = np.sort(delay[options.start[n] : options.start[n + 1]])
        users.append(one.replace(deadline_s=float(fastest[:2].mean())))
    instance = instance.replace(users=tuple(users))
    assert len(do.build_options(instance)) == 3
    result = do.solve(instance, method, gap=0.0)
    assert result.objective == pytest.approx(enumerate_optimum(instance), rel=1e-9)


@pytest.mark.parametrize("slack", [1.0, 1 + 1e-9, 1 + 1e-6])
def test_a_deadline_that_leaves_no_slack(slack: float) -> None:
    """One user whose deadline is its best delay with whole pools, or hardly more."""
    free = small_instance(user("a"))
    options = do.build_options(free)
    delay = options.device_delay_s + whole_pools(options).sum(axis=0)
    for k in np.argsort(delay)[1:4]:
        check_against_enumeration(small_instance(user("a", deadline_s=float(delay[k] * slack))))


# --- against `exact`


@settings(max_examples=8, deadline=None)
@given(
    seed=SEEDS,
    users=st.integers(5, 9),
    servers=st.integers(1, 3),
    limits=st.sampled_from([None, LIMITS, do.GeneratorSettings(accuracy_floors=1.0)]),
)
def test_price_agrees_with_exact(
    seed: int, users: int, servers: int, limits: do.GeneratorSettings | None
) -> None:
    instance = do.generate_instance(users, servers, seed, limits)
    ours = do.solve(instance, "price", gap=1e-7)
    theirs = do.solve(instance, "exact", gap=1e-7)
    assert ours.status == theirs.status == "optimal"
    assert ours.objective == pytest.approx(theirs.objective, rel=2e-7)
    assert ours.bound <= theirs.objective * (1 + 1e-9)
    assert do.check(instance, ours.solution) == []


# --- limits of time and nodes


def check_unfinished(result: do.Result, best: float) -> None:
    assert do.check(result.instance, result.solution) == []
    assert -math.inf < result.bound <= best * (1 + 1e-9)
    assert result.objective >= best * (1 - 1e-9)


def test_a_node_limit_keeps_a_valid_bound() -> None:
    instance = do.generate_instance(12, 3, 0)
    best = do.solve(instance, "exact", gap=1e-9).objective
    bounds = []
    for nodes in (1, 3, 9, 27):
        result = do.solve(instance, "price", gap=0.0, iterations=nodes)
        check_unfinished(result, best)
        bounds.append(result.bound)
        if nodes == 1:
            assert result.solution.termination == "iteration_limit"
            assert result.status == "feasible"
    assert bounds == sorted(bounds)
    assert bounds[-1] > bounds[0]


@pytest.mark.parametrize("limits", [None, LIMITS])
def test_a_time_limit_keeps_a_plan(limits: do.GeneratorSettings | None) -> None:
    """So short that nothing but the first prices and the first plan fit in."""
    instance = do.generate_instance(30, 3, 0, limits)
    result = do.solve(instance, "price", gap=0.0, time_limit=1e-9)
    assert result.solution.termination == "time_limit"
    assert -math.inf < result.bound
    if result.incumbent is not None:
        check_unfinished(result, do.solve(instance, "price").objective * (1 - 1e-6))


def phases(result: do.Result) -> set[str]:
    return {progress.phase for progress in result.history}


@pytest.mark.parametrize("name", ["n10-s3", "n20-deadlines", "n20-energy"])
def test_highs_ends_what_branching_began(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = do.read_instance(INSTANCES / f"{name}.json")
    by_prices = do.solve(instance, "price", gap=GAP)
    assert "HiGHS round 1" not in phases(by_prices)
    monkeypatch.setattr(price, "_NODES", 1)
    monkeypatch.setattr(price, "_NODES_CONSTRAINED", 1)
    result = do.solve(instance, "price", gap=GAP)
    assert {"branching", "HiGHS round 1"} <= phases(result)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(by_prices.objective, rel=2 * GAP)
    assert result.bound >= by_prices.bound - 2 * GAP * abs(by_prices.bound)


def test_too_much_for_highs_is_branched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same tree as without a pause, node for node."""
    instance = do.read_instance(INSTANCES / "n10-s3.json")
    trees: list[Branching] = []
    original = Branching.__init__

    def keep(self: Branching, *given: object) -> None:
        original(self, *given)  # type: ignore[arg-type]
        trees.append(self)

    monkeypatch.setattr(Branching, "__init__", keep)
    by_prices = do.solve(instance, "price", gap=GAP)
    monkeypatch.setattr(price, "_NODES", 3)
    monkeypatch.setattr(price, "_HIGHS_OPTIONS", 0)
    result = do.solve(instance, "price", gap=GAP)
    assert (result.objective, result.bound) == (by_prices.objective, by_prices.bound)
    assert len(trees) == 2
    assert trees[0].nodes == trees[1].nodes > 3


def test_a_given_limit_of_nodes_starts_no_highs() -> None:
    instance = do.read_instance(INSTANCES / "n10-s3.json")
    result = do.solve(instance, "price", gap=GAP, iterations=2)
    assert result.solution.termination == "iteration_limit"
    assert not any(phase.startswith("HiGHS") for phase in phases(result))


@pytest.mark.parametrize("reason", ["stalled", "iteration_limit"])
def test_branching_goes_on_where_highs_gives_up(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = do.read_instance(INSTANCES / "n10-s3.json")
    by_prices = do.solve(instance, "price", gap=GAP)
    monkeypatch.setattr(price, "_NODES", 3)
    monkeypatch.setattr(OuterApproximation, "run", lambda self: reason)
    result = do.solve(instance, "price", gap=GAP)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(by_prices.objective, rel=2 * GAP)


def test_a_bound_of_highs_above_a_plan_leaves_that_of_branching(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instance = do.read_instance(INSTANCES / "n10-s3.json")
    best = do.solve(instance, "price", gap=GAP).objective

    def invalid(self: OuterApproximation) -> str:
        self.search.bound_invalid, self.search.bound = True, -float("inf")
        return "stalled"

    monkeypatch.setattr(price, "_NODES", 3)
    monkeypatch.setattr(OuterApproximation, "run", invalid)
    result = do.solve(instance, "price", gap=GAP)
    assert result.status == "feasible"
    assert 0.99 * best < result.bound <= best * (1 + 1e-12)

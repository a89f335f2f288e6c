"""Lagrangian prices: valid and good bounds, true gradients, true proofs, screening that is safe."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.pricing import lagrangian as prices
from dtkd_opt.pricing.bundle import maximise_bound
from dtkd_opt.pricing.equal_shares import first_prices
from dtkd_opt.pricing.lagrangian import DualPoint, Lagrangian, find_infeasibility_proof, price
from dtkd_opt.problem.options import Options
from dtkd_opt.records.arrays import Array
from tests.support.options import (
    all_choices,
    constrained_options,
    mean_objective,
    random_options,
    random_prices,
    whole_pools,
)
from tests.support.strategies import instances

LIMITS = do.GeneratorSettings(deadlines=0.5, energy_budgets=0.5)

SEEDS = st.integers(0, 2**32 - 1)


def rounding(point: DualPoint, options: Options) -> float:
    """What rounding may make of L: a part in 1e12 of the numbers that it is a difference of."""
    return 1e-12 * (abs(point.value) + float((point.prices * options.capacity).sum()))


def options_of(instance: do.Instance) -> Options:
    """The options, if the instance has any and enumerating them takes no time."""
    try:
        options = do.build_options(instance)
    except do.InfeasibleError:
        assume(False)
        raise
    assume(np.prod(np.diff(options.start)) <= 300)
    return options


# --- the bound


def check_bounds(options: Options, seed: int) -> None:
    """Random prices ≤ the best prices ≤ the optimum, by enumerating every choice."""
    rng = np.random.default_rng(seed)
    optimum = min(mean_objective(options, choice) for choice in all_choices(options))
    size, values = options.n_users, []
    for _ in range(10):
        point = price(options, random_prices(options, rng))
        values.append(point.value)
        assert point.value <= size * optimum + rounding(point, options)
    best = maximise_bound(options, first_prices(options))
    assert best.value <= size * optimum + rounding(best, options)
    if math.isfinite(optimum):
        assert best.value >= max(values) - 1e-8 * size * optimum
    elif options.constrained:
        assert best.value >= max(values) * (1 - 1e-8)


@settings(max_examples=15, deadline=None)
@given(instance=instances(max_users=3, max_servers=2, max_models=2), seed=SEEDS)
def test_bounds_on_any_instance(instance: do.Instance, seed: int) -> None:
    check_bounds(options_of(instance), seed)


@pytest.mark.parametrize("seed", range(12))
def test_bounds_with_binding_limits(seed: int) -> None:
    users, servers = 1 + seed % 3, 1 + seed % 2
    check_bounds(constrained_options(seed, users, servers, 0.8, 1.2), seed)


def test_best_prices_are_no_worse_than_any_tried() -> None:
    """Larger instances, also prices right beside the best."""
    rng = np.random.default_rng(0)
    for seed in range(4):
        options = random_options(30, 1 + seed % 2, seed)
        best = maximise_bound(options, first_prices(options))
        for spread in (1e-6, 1e-4, 1e-2, 0.1, 1.0):
            other = best.prices * np.exp(rng.uniform(-spread, spread, best.prices.shape))
            assert price(options, other).value <= best.value * (1 + 1e-8)


def test_start_does_not_matter() -> None:
    options = random_options(20, 2, 3)
    best = maximise_bound(options, first_prices(options))
    for factor in (0.0, 1e-4, 1e4):
        again = maximise_bound(options, factor * first_prices(options))
        assert again.value == pytest.approx(best.value, rel=1e-7)


def test_the_bound_is_tight_for_many_users() -> None:
    """The gap shrinks like 1/N: the choice at the best prices is within 1 % at N = 50."""
    options = random_options(50, 1, 1)
    best = maximise_bound(options, first_prices(options))
    total = 50 * mean_objective(options, best.choice)
    assert best.value <= total <= best.value * 1.01


def test_visits_and_ends() -> None:
    """Every point visited is a valid bound; few steps or no time still give one."""
    options = random_options(20, 1, 0)
    visited: list[DualPoint] = []
    best = maximise_bound(options, first_prices(options), callback=visited.append)
    assert len(visited) > 3
    assert max(point.value for point in visited) == best.value
    visited.clear()
    short = maximise_bound(options, first_prices(options), max_steps=3, callback=visited.append)
    assert len(visited) == 4  # the first point and three steps
    assert short.value < best.value
    late = maximise_bound(options, first_prices(options), ends_at=time.monotonic() - 1)
    assert late.value <= short.value


# --- gradient and reduced costs


def test_gradient_is_the_derivative_away_from_kinks() -> None:
    """dL / d(λ C) by central differences, where every user's choice stays the same."""
    rng = np.random.default_rng(3)
    compared = 0
    for seed in range(20):
        options = (
            constrained_options(seed, 4, 2, 0.9, 1.3) if seed % 2 else random_options(4, 2, seed)
        )
        point = price(options, random_prices(options, rng, 1.0))
        for p, s in np.ndindex(point.prices.shape):
            step = np.zeros_like(point.prices)
            step[p, s] = 1e-5 * point.prices[p, s]
            after, before = price(options, point.prices + step), price(options, point.prices - step)
            if (after.choice != point.choice).any() or (before.choice != point.choice).any():
                continue
            slope = (after.value - before.value) / (2 * step[p, s] * options.capacity[p, s])
            assert slope == pytest.approx(point.gradient[p, s], rel=1e-5, abs=1e-5)
            compared += 1
    assert compared > 60


def test_gradient_is_demand_over_capacity() -> None:
    options = random_options(5, 2, 0)
    point = price(options, random_prices(options, np.random.default_rng(0)))
    demand = np.zeros_like(options.capacity)
    for k in point.choice:
        demand[:, options.server[k]] += point.response.shares[:, k]
    assert point.gradient == pytest.approx(demand / options.capacity - 1, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(instance=instances(max_users=4, max_servers=3, max_models=3), seed=SEEDS)
def test_reduced_costs(instance: do.Instance, seed: int) -> None:
    """Never negative, zero for the choice, and what a user's options cost above the choice."""
    options = options_of(instance)
    point = price(options, random_prices(options, np.random.default_rng(seed)))
    assert (point.reduced_cost >= 0).all()
    assert (point.reduced_cost[point.choice] == 0).all()
    assert options.user[point.choice].tolist() == list(range(options.n_users))
    cost = point.response.cost + options.error_cost_s
    above = cost - cost[point.choice][options.user]
    rounded = 1e-12 * float(cost.max())  # what the bound's allowance for rounding may shift
    assert point.reduced_cost == pytest.approx(above, rel=1e-12, abs=rounded)
    worth = float((point.prices * options.capacity).sum())
    total = float(cost[point.choice].sum()) - worth
    assert point.value == pytest.approx(total, abs=rounding(point, options))


@pytest.mark.parametrize("seed", range(6))
def test_reduced_costs_bound_every_choice_that_takes_the_option(seed: int) -> None:
    """L + reduced cost ≤ N · J of any choice with the option: what fixing rests on."""
    options = constrained_options(seed, 2, 1 + seed % 2, 0.9, 1.3)
    best = maximise_bound(options, first_prices(options))
    for choice in all_choices(options):
        total = options.n_users * mean_objective(options, choice)
        assert best.value + best.reduced_cost[choice].max() <= total + rounding(best, options)


# --- infeasible instances


def proofs(options: Options, seed: int) -> bool:
    """Whether any prices met on the way to the best, or random ones, prove a proof."""
    rng = np.random.default_rng(seed)
    prices = [random_prices(options, rng, 5.0) for _ in range(20)]
    met: list[DualPoint] = []
    maximise_bound(options, first_prices(options), max_steps=60, callback=met.append)
    found = False
    for tried in [*prices, *(point.prices for point in met)]:
        proof = find_infeasibility_proof(options, tried)
        if proof is not None:
            found = True
            assert proof.cost.shape == (options.n_users,)
            assert proof.cost.sum() > 1
            assert proof.value.sum() == pytest.approx(1.0, rel=1e-12)
            value = tried * options.capacity
            assert proof.value == pytest.approx(value / value.sum(), rel=1e-12)
    return found


@settings(max_examples=15, deadline=None)
@given(instance=instances(max_users=3, max_servers=2, max_models=2), seed=SEEDS)
def test_no_infeasibility_proof_where_a_choice_is_feasible(
    instance: do.Instance, seed: int
) -> None:
    options = options_of(instance)
    if any(math.isfinite(mean_objective(options, choice)) for choice in all_choices(options)):
        assert not proofs(options, seed)


def test_infeasibility_is_proven() -> None:
    """Deadlines scaled down to where each user alone has a plan, but hardly all together."""
    proven = feasible = 0
    for seed in range(30):
        users, servers = 2 + seed % 2, 1 + seed % 2
        instance = do.generate_instance(users, servers, seed)
        students = {"models": instance.models[2:4]}
        options = do.build_options(instance.replace(**students))
        min_delay = np.minimum.reduceat(
            options.device_delay_s + whole_pools(options).sum(axis=0), options.start[:-1]
        )
        slack = [1.001, 1.01, 1.05, 1.5, 3.0][seed % 5]
        late = (
            options.device_delay_s + whole_pools(options).sum(axis=0)
            > slack * min_delay[options.user]
        )
        options = replace(options, deadline_s=slack * min_delay[options.user]).select_rows(~late)
        exists = any(
            math.isfinite(mean_objective(options, choice)) for choice in all_choices(options)
        )
        if proofs(options, seed):
            proven += 1
            assert not exists
        feasible += exists
    assert proven >= 5
    assert feasible >= 5


def test_no_infeasibility_proof_without_limits() -> None:
    options = random_options(5, 2, 0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert find_infeasibility_proof(options, random_prices(options, rng, 10.0)) is None


def boxes(options: Options, rng: np.random.Generator) -> tuple[Array, Array]:
    """A box of prices, from a point to factors of three."""
    middle = random_prices(options, rng, 1.0)
    width = rng.choice([0.0, 1e-3, 0.2, 0.9]) * rng.random(middle.shape)
    return middle * (1 - width), middle * (1 + width)


@settings(max_examples=25, deadline=None)
@given(
    seed=SEEDS,
    users=st.integers(1, 20),
    servers=st.integers(1, 4),
    kind=st.sampled_from(["free", "limits", "silent"]),
    part=st.sampled_from([30, 100_000]),
)
def test_screening_keeps_the_cheapest(
    seed: int, users: int, servers: int, kind: str, part: int
) -> None:
    """At any prices in the box each user's cheapest option is among those kept."""
    limits = LIMITS if kind == "limits" else None
    instance = do.generate_instance(users, servers, seed % 2**31, limits)
    rng = np.random.default_rng(seed)
    if kind == "silent":
        fresh = rng.choice([0.0, 1.0, 0.3], users)
        people = [
            one.replace(fresh_fraction=float(f))
            for one, f in zip(instance.users, fresh, strict=True)
        ]
        instance = instance.replace(users=tuple(people))
    options = do.build_options(instance)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prices, "BLOCK", part)
        lagrangian = Lagrangian(options)
    low, high = boxes(options, rng)
    kept = lagrangian.screen(low, high)
    assert (np.diff(kept) > 0).all()
    few = options.select_rows(kept)
    corners = [low, high, (low + high) / 2]
    corners += [np.where(rng.random(low.shape) < 0.5, low, high) for _ in range(4)]
    corners += [low + rng.random(low.shape) * (high - low) for _ in range(4)]
    for inside in corners:
        full, part_of = lagrangian.at(inside), price(few, inside)
        size = 1e-12 * float(np.abs(full.cost).max())
        assert part_of.cost[part_of.choice] == pytest.approx(
            full.cost[full.choice], rel=1e-12, abs=size
        )


@settings(max_examples=20, deadline=None)
@given(instance=instances(max_users=4, max_servers=3, max_models=3), seed=SEEDS)
def test_screening_keeps_the_cheapest_of_any_instance(instance: do.Instance, seed: int) -> None:
    try:
        options = do.build_options(instance)
    except do.InfeasibleError:
        assume(False)
        raise
    rng = np.random.default_rng(seed)
    low, high = boxes(options, rng)
    few = options.select_rows(Lagrangian(options).screen(low, high))
    for _ in range(6):
        inside = low + rng.random(low.shape) * (high - low)
        full, part_of = price(options, inside), price(few, inside)
        size = 1e-12 * float(np.abs(full.cost).max())
        assert part_of.cost[part_of.choice] == pytest.approx(
            full.cost[full.choice], rel=1e-12, abs=size
        )


def test_screening_drops_most_options() -> None:
    """What it is for; and at one point alone it keeps one option a user, but for ties."""
    options = random_options(100, 1, 0)
    best = maximise_bound(options).prices
    lagrangian = Lagrangian(options)
    assert len(lagrangian.screen(0.8 * best, 1.2 * best)) < len(options) / 3
    assert len(lagrangian.screen(2 * best, 2 * best)) == options.n_users

"""The bundles: both find the same best prices, and large tables lose nothing by screening."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.pricing import bundle
from dtkd_opt.pricing import lagrangian as prices
from dtkd_opt.pricing.bundle import (
    BoxstepBundle,
    Bundle,
    QuadraticBundle,
    make_bundle,
    maximise_bound,
)
from dtkd_opt.pricing.equal_shares import first_prices
from dtkd_opt.pricing.lagrangian import DualPoint, Lagrangian, price
from dtkd_opt.pricing.response import respond
from dtkd_opt.problem.options import Options
from dtkd_opt.problem.physics import Array
from tests.support.helpers import (
    all_choices,
    limited_options,
    mean_objective,
    random_options,
    random_prices,
)
from tests.support.strategies import instances

SEEDS = st.integers(0, 2**32 - 1)
LIMITS = do.GeneratorSettings(deadlines=0.5, energy_budgets=0.5)
BOTH = pytest.mark.parametrize("kind", [QuadraticBundle, BoxstepBundle])


def climbed(kind: Callable[[Lagrangian, Array], Bundle], options: Options) -> Bundle:
    """A bundle at its best prices."""
    made = kind(Lagrangian(options), first_prices(options))
    for _ in range(bundle.MAX_STEPS):
        if not made.advance(1e-11):
            break
    return made


# --- the two masters


@settings(max_examples=12, deadline=None)
@given(users=st.integers(1, 30), servers=st.integers(1, 4), seed=st.integers(0, 10_000))
@example(users=5, servers=4, seed=183)  # HiGHS loses its way from the last basis
def test_both_bundles_find_the_same_bound(users: int, servers: int, seed: int) -> None:
    """Also where a server is nobody's, so that its pools are worth nothing."""
    options = random_options(users, servers, seed)
    root, box = climbed(QuadraticBundle, options), climbed(BoxstepBundle, options)
    assert root.best.value == pytest.approx(box.best.value, rel=1e-8)


def test_limits_choose_the_box() -> None:
    free, limited = random_options(4, 2, 0), limited_options(0, 3, 2, 0.9, 1.3)
    assert isinstance(make_bundle(Lagrangian(free), first_prices(free)), QuadraticBundle)
    assert limited.constrained
    assert isinstance(make_bundle(Lagrangian(limited), first_prices(limited)), BoxstepBundle)


@BOTH
@settings(max_examples=15, deadline=None)
@given(instance=instances(max_users=3, max_servers=2, max_models=2, limits=False), seed=SEEDS)
def test_no_visited_value_exceeds_the_optimum(
    kind: Callable[[Lagrangian, Array], Bundle], instance: do.Instance, seed: int
) -> None:
    """Weak duality at every point of both bundles, from any prices."""
    options = do.build_options(instance)
    assume(np.prod(np.diff(options.start)) <= 200)
    optimum = options.n_users * min(mean_objective(options, c) for c in all_choices(options))
    start = random_prices(options, np.random.default_rng(seed))
    made = kind(Lagrangian(options), start)
    values = [made.last.value]
    for _ in range(40):
        if not made.advance(1e-9):
            break
        values.append(made.last.value)
    assert max(values) <= optimum * (1 + 1e-12) + 1e-300
    assert made.best.value == max(values)


@pytest.mark.parametrize("seed", range(6))
def test_no_visited_value_exceeds_the_optimum_with_limits(seed: int) -> None:
    options = limited_options(seed, 3, 1 + seed % 2, 0.85, 1.2)
    optimum = options.n_users * min(mean_objective(options, c) for c in all_choices(options))
    visited: list[DualPoint] = []
    maximise_bound(options, callback=visited.append)
    for point in visited:
        rounding = 1e-12 * float((point.prices * options.capacity).sum())
        assert point.value <= optimum * (1 + 1e-12) + rounding


# --- the relaxed choice


@BOTH
@pytest.mark.parametrize(("users", "servers", "seed"), [(8, 1, 0), (20, 2, 1), (30, 3, 2)])
def test_fractions_are_a_relaxed_choice_that_fits_the_pools(
    kind: Callable[[Lagrangian, Array], Bundle], users: int, servers: int, seed: int
) -> None:
    """Users' shares of options sum to one; at the best prices they fill what has a price."""
    options = random_options(users, servers, seed)
    made = climbed(kind, options)
    fractions = made.fractions()
    assert fractions.shape == (len(options),)
    assert (fractions >= 0).all()
    assert np.add.reduceat(fractions, options.start[:-1]) == pytest.approx(np.ones(users), abs=1e-6)
    assert (fractions % 1 > 1e-3).any()  # something is split: the test is not about a choice
    shares = fractions * respond(options, made.best.prices).shares
    demand = np.array([np.bincount(options.server, x, minlength=servers) for x in shares])
    used = demand / options.capacity
    assert (used <= 1 + 1e-3).all()
    worth = made.best.prices * options.capacity
    assert (worth * (1 - used)).sum() <= 1e-3 * worth.sum()  # complementary slackness
    taken = fractions > 1e-3
    assert made.best.reduced_cost[taken].max() <= 1e-3 * float(np.abs(made.best.cost).mean())


def test_fractions_with_limits_sum_to_one() -> None:
    for seed in range(4):
        options = limited_options(seed, 4, 2, 0.9, 1.3)
        made = climbed(BoxstepBundle, options)
        total = np.add.reduceat(made.fractions(), options.start[:-1])
        assert total == pytest.approx(np.ones(options.n_users), abs=1e-6)


# --- ends


@pytest.mark.parametrize("limits", [None, LIMITS])
def test_a_target_stops_early(limits: do.GeneratorSettings | None) -> None:
    options = do.build_options(do.generate_instance(30, 2, 5, limits))
    all_visited: list[DualPoint] = []
    best = maximise_bound(options, callback=all_visited.append)
    target = best.value * (1 - 1e-3)
    visited: list[DualPoint] = []
    point = maximise_bound(options, target=target, callback=visited.append)
    assert len(visited) < len(all_visited)
    assert point.value >= target
    assert all(earlier.value < target for earlier in visited[:-1])
    assert maximise_bound(options, target=-math.inf).value == visited[0].value


# --- large tables


def shrink(monkeypatch: pytest.MonkeyPatch, box: float) -> list[int]:
    """Make tables of 1,801 options large; the sizes of what screening keeps are noted."""
    monkeypatch.setattr(bundle, "LARGE", 1800)
    monkeypatch.setattr(bundle, "_BOX", box)
    monkeypatch.setattr(prices, "_PART", 500)
    kept: list[int] = []
    screen = Lagrangian.screen

    def noted(self: Lagrangian, low: Array, high: Array) -> Array:
        rows = screen(self, low, high)
        kept.append(len(rows))
        return rows

    monkeypatch.setattr(Lagrangian, "screen", noted)
    return kept


@pytest.mark.parametrize("box", [0.2, 0.05])
@pytest.mark.parametrize(
    ("users", "servers", "limits"),
    [(300, 1, None), (150, 3, None), (200, 2, LIMITS)],
)
def test_large_tables_get_the_same_bound(
    users: int,
    servers: int,
    limits: do.GeneratorSettings | None,
    box: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = do.build_options(do.generate_instance(users, servers, 7, limits))
    assert options.constrained == (limits is not None)
    expected = maximise_bound(options, tolerance=1e-11)
    kept = shrink(monkeypatch, box)
    assert len(options) > bundle.LARGE
    visited: list[DualPoint] = []
    found = maximise_bound(options, tolerance=1e-11, callback=visited.append)
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    assert found.cost.shape == (len(options),)
    assert found.value == price(options, found.prices).value
    assert found.value == visited[-1].value
    assert len(kept) >= len(visited)
    assert kept[-1] < len(options) * 2 / 3


@pytest.mark.parametrize("box", [0.2, 0.02, 0.002])
@pytest.mark.parametrize("limits", [None, LIMITS])
def test_a_box_that_is_too_narrow_is_left(
    limits: do.GeneratorSettings | None, box: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started far from the best prices, the box moves or grows until the best is inside it."""
    options = do.build_options(do.generate_instance(250, 2, 3, limits))
    expected = maximise_bound(options, tolerance=1e-11)
    shrink(monkeypatch, box)
    visited: list[DualPoint] = []
    start = 1.5 * expected.prices
    found = maximise_bound(options, start, tolerance=1e-11, callback=visited.append)
    assert len(visited) > 1
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    assert all(point.value <= expected.value * (1 + 1e-9) for point in visited)


def test_a_large_table_stops_at_its_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more rounds than a target needs, though a tighter bound exists."""
    options = random_options(250, 2, 3)
    expected = maximise_bound(options)
    shrink(monkeypatch, 0.05)
    visited: list[DualPoint] = []
    point = maximise_bound(options, target=0.5 * expected.value, callback=visited.append)
    assert point.value >= 0.5 * expected.value
    assert len(visited) == 1


def test_a_large_table_out_of_time_keeps_a_valid_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    options = random_options(250, 2, 3)
    expected = maximise_bound(options)
    shrink(monkeypatch, 0.2)
    found = maximise_bound(options, deadline=-math.inf)
    assert found.value < expected.value
    assert found.value == price(options, found.prices).value


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
            one.model_copy(update={"fresh_fraction": float(f)})
            for one, f in zip(instance.users, fresh, strict=True)
        ]
        instance = instance.model_copy(update={"users": tuple(people)})
    options = do.build_options(instance)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prices, "_PART", part)
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


def test_screening_drops_most_of_a_table() -> None:
    """What it is for; and at one point alone it keeps one option a user, but for ties."""
    options = random_options(100, 1, 0)
    best = maximise_bound(options).prices
    lagrangian = Lagrangian(options)
    assert len(lagrangian.screen(0.8 * best, 1.2 * best)) < len(options) / 3
    assert len(lagrangian.screen(2 * best, 2 * best)) == options.n_users


def test_thin_keeps_pools_in_proportion() -> None:
    """A table of copies of one user has the same prices as its thinned part."""
    one = do.generate_instance(1, 1, 0)
    people = tuple(one.users[0].model_copy(update={"name": f"u{n}"}) for n in range(12))
    options = do.build_options(one.model_copy(update={"users": people}))
    thin = options.subsample(4)
    assert thin.n_users == 3
    whole, part = maximise_bound(options), maximise_bound(thin)
    assert part.value * 4 == pytest.approx(whole.value, rel=1e-8)
    again = price(replace(options), part.prices)
    assert again.value == pytest.approx(whole.value, rel=1e-7)

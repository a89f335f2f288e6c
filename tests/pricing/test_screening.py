"""`Lagrangian.screen`: options that it drops are nobody's cheapest in the box of prices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.pricing import lagrangian as prices
from dtkd_opt.pricing.bundle import maximise_bound
from dtkd_opt.pricing.lagrangian import Lagrangian, price
from dtkd_opt.problem.options import Options
from dtkd_opt.problem.physics import Array
from tests.support.options import random_options, random_prices
from tests.support.strategies import instances

SEEDS = st.integers(0, 2**32 - 1)
LIMITS = do.GeneratorSettings(deadlines=0.5, energy_budgets=0.5)


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

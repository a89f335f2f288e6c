"""Outward-rounded arrays: never above the balls, and hardly below."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings

import dtkd_opt as do
from dtkd_opt.pricing.equal_shares import first_prices
from dtkd_opt.pricing.lagrangian import price
from tests.support.verifying import (
    SEEDS,
    SMALL,
    any_prices,
    both,
    load,
    odd_instances,
    options_of,
)

flint = pytest.importorskip("flint")


@settings(max_examples=60, deadline=None)
@given(instance=odd_instances(), seed=SEEDS)
def test_arrays_are_below_balls(instance: do.Instance, seed: int) -> None:
    rng = np.random.default_rng(seed)
    options = options_of(instance, math.inf)
    balls, arrays = both(instance)
    for _ in range(5):
        prices = any_prices(options, rng)
        upper, lower = (a.option_costs(prices) for a in (balls, arrays))
        assert (lower <= upper).all()


@pytest.mark.parametrize("name", [*SMALL, "n50", "n50-deadlines", "n50-energy", "n40-s3"])
def test_arrays_are_within_1e_12_of_balls(name: str) -> None:
    instance = load(name)
    options = do.build_options(instance)
    rng = np.random.default_rng(5)
    balls, arrays = both(instance)
    for k in range(10):
        prices = first_prices(options) * np.exp(rng.uniform(-1, 1, (3, options.n_servers)) * k / 3)
        upper, lower = (
            a.option_costs(prices).reshape(options.n_users, -1).min(axis=1) for a in (balls, arrays)
        )
        assert (lower <= upper).all()
        assert (upper - lower <= 1e-12 * upper).all()
        value = price(options, prices).value
        worth = float((prices * options.capacity).sum())
        # as tight as the solver's own bound, which knows nothing of whole pools
        assert upper.sum() - worth >= value - 1e-12 * (abs(value) + worth)


def test_log1p_is_as_good_as_the_arrays_assume() -> None:
    """Within 4 units in the last place, for arguments of every size that can occur."""
    rng = np.random.default_rng(0)
    x = np.concatenate([10 ** rng.uniform(-120, 220, 20_000), 10 ** rng.uniform(-6, 6, 60_000)])
    got = np.log1p(x)
    with flint.ctx.workprec(120):
        off = [float((flint.arb(g) - flint.arb(v).log1p()).mid()) for v, g in zip(
            x.tolist(), got.tolist(), strict=True)]  # fmt: skip
    assert (np.abs(off) <= 4 * np.spacing(got)).all()

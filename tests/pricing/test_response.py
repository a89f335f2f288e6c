"""The response of one option to prices: best within its limits, and of minimum cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dtkd_opt.pricing.response import free_shares, min_upload_log_shares, respond
from dtkd_opt.problem.options import SERVER, Options, pool_delays
from dtkd_opt.records.arrays import Array
from tests.support.options import constrained_options, random_options, random_prices, whole_pools


def assert_best_response(options: Options, prices: Array, rng: np.random.Generator) -> None:
    """Limits are kept; no random shares that keep them cost less; the figures belong together."""
    found = respond(options, prices)
    paid = prices[:, options.server]
    pools = pool_delays(options, found.shares)
    delay = options.device_delay_s + pools.sum(axis=0)
    cost = delay + (paid * found.shares).sum(axis=0)
    assert found.delay == pytest.approx(delay, rel=1e-10)
    assert found.cost == pytest.approx(cost, rel=1e-10)
    assert (found.weight >= 1).all()
    assert (delay <= options.deadline_s * (1 + 1e-10)).all()
    assert (pools[0] <= options.uplink_limit_s * (1 + 1e-10)).all()
    above = found.weight > 1 + 1e-9
    assert delay[above] == pytest.approx(options.deadline_s[above], rel=1e-10)
    for size in (1e-4, 1e-2, 0.1, 1.0):
        for _ in range(20):
            shares = found.shares * np.exp(size * rng.standard_normal(found.shares.shape))
            pools = pool_delays(options, shares)
            other = options.device_delay_s + pools.sum(axis=0)
            kept = (other <= options.deadline_s) & (pools[0] <= options.uplink_limit_s)
            worse = other + (paid * shares).sum(axis=0) >= cost * (1 - 1e-10)
            assert (worse | ~kept).all()


def test_response_without_limits() -> None:
    rng = np.random.default_rng(0)
    for seed in range(5):
        options = random_options(4, 2, seed)
        assert_best_response(options, random_prices(options, rng), rng)


def test_shares_without_deadlines_are_closed_forms() -> None:
    """The same as the response's, to the accuracy of the tabulated uplink, budgets included."""
    rng = np.random.default_rng(3)
    for seed in range(5):
        options = random_options(6, 2, seed)
        slack = np.exp(rng.uniform(-3, 2, len(options)))
        limit = np.where(
            rng.random(len(options)) < 0.5, whole_pools(options)[0] * (1 + slack), np.inf
        )
        options, prices = replace(options, uplink_limit_s=limit), random_prices(options, rng)
        exact, found = (
            respond(options, prices),
            free_shares(options, prices, min_upload_log_shares(options)),
        )
        np.testing.assert_allclose(found, exact.shares, rtol=1e-8)
        assert (found[0] > free_shares(options, prices)[0] * (1 + 1e-6)).any()


def test_response_within_limits() -> None:
    """Deadlines, upload limits and both at once, from loose to hardly possible."""
    rng = np.random.default_rng(1)
    both = 0
    for seed in range(30):
        options = random_options(4, 2, seed)
        pools = whole_pools(options)
        min_delay = options.device_delay_s + pools.sum(axis=0)
        slack = np.exp(rng.uniform(-7, 2, (2, len(options))))
        tight = replace(
            options,
            deadline_s=min_delay * (1 + slack[0]),
            uplink_limit_s=np.where(
                rng.random(len(options)) < 0.5, pools[0] * (1 + slack[1]) + 1e-9, np.inf
            ),
        )
        prices = random_prices(tight, rng)
        assert_best_response(tight, prices, rng)
        found = respond(tight, prices)
        uploads = pool_delays(tight, found.shares)[0]
        held = (tight.uplink_bits > 0) & (uploads >= tight.uplink_limit_s * (1 - 1e-9))
        both += int((held & (found.weight > 1)).sum())
        for k in range(0, len(tight), 5):
            single = respond(tight.select_rows(np.array([k])), prices)
            assert single.delay == pytest.approx(found.delay[[k]], rel=1e-12)
            assert single.shares == pytest.approx(found.shares[:, [k]], rel=1e-9)
    assert both > 10


def test_deadline_beyond_the_kink_of_the_upload_limit() -> None:
    """The limit holds the upload, the rest is quick: only at a high weight does the upload move.

    Newton's method from the flat side of the kink leaps to weights beyond all floats.
    """
    options = random_options(3, 1, 0)
    options = options.select_rows(options.place == SERVER)
    pools = whole_pools(options)
    options = replace(
        options,
        downlink_work=options.downlink_work * 1e-14,
        server_cycles=options.server_cycles * 1e-14,
        uplink_limit_s=pools[0] * 1.5,
        deadline_s=pools[0] * 1.2,
    )
    prices = 1000 * pools[0].mean() / options.capacity
    found = respond(options, prices)
    assert (found.weight < 1e9).all()
    assert (found.weight > 1).all()
    assert found.delay == pytest.approx(options.deadline_s, rel=1e-10)
    assert_best_response(options, prices, np.random.default_rng(0))


def test_minimum_response() -> None:
    """Limits are kept at a cost that no random shares undercut; without limits it is nothing."""
    rng = np.random.default_rng(2)
    for seed in range(10):
        options = constrained_options(seed, 4, 2, 0.8, 1.2)
        prices = random_prices(options, rng)
        found = respond(options, prices, min_cost=True)
        pools = pool_delays(options, np.maximum(found.shares, 1e-300))
        delay = options.device_delay_s + pools.sum(axis=0)
        late, held = np.isfinite(options.deadline_s), np.isfinite(options.uplink_limit_s)
        free = ~late & ~(held & (options.uplink_bits > 0))
        assert (found.cost[free] == 0).all()
        assert (delay <= options.deadline_s * (1 + 1e-10)).all()
        assert (pools[0] <= options.uplink_limit_s * (1 + 1e-10)).all()
        paid = prices[:, options.server]
        assert found.cost == pytest.approx((paid * found.shares).sum(axis=0), rel=1e-12)
        for _ in range(50):
            shares = found.shares * np.exp(0.1 * rng.standard_normal(found.shares.shape))
            pools = pool_delays(options, np.maximum(shares, 1e-300))
            other = options.device_delay_s + pools.sum(axis=0)
            kept = (other <= options.deadline_s) & (pools[0] <= options.uplink_limit_s)
            worse = (paid * shares).sum(axis=0) >= found.cost * (1 - 1e-10)
            assert (worse | ~kept).all()

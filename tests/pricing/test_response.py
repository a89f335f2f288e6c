"""The response of one option to prices: best within its limits, and least."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dtkd_opt.pricing.response import free_shares, least_uploads, respond
from dtkd_opt.problem.options import SERVER, OptionTable, pool_delays
from dtkd_opt.problem.physics import Array
from tests.support.helpers import limited_table, random_prices, random_table, whole_pools


def assert_best_response(table: OptionTable, prices: Array, rng: np.random.Generator) -> None:
    """Limits are kept; no random shares that keep them cost less; the figures belong together."""
    found = respond(table, prices)
    paid = prices[:, table.server]
    pools = pool_delays(table, found.shares)
    delay = table.device_delay_s + pools.sum(axis=0)
    cost = delay + (paid * found.shares).sum(axis=0)
    assert found.delay == pytest.approx(delay, rel=1e-10)
    assert found.cost == pytest.approx(cost, rel=1e-10)
    assert (found.weight >= 1).all()
    assert (delay <= table.deadline_s * (1 + 1e-10)).all()
    assert (pools[0] <= table.uplink_limit_s * (1 + 1e-10)).all()
    above = found.weight > 1 + 1e-9
    assert delay[above] == pytest.approx(table.deadline_s[above], rel=1e-10)
    for size in (1e-4, 1e-2, 0.1, 1.0):
        for _ in range(20):
            shares = found.shares * np.exp(size * rng.standard_normal(found.shares.shape))
            pools = pool_delays(table, shares)
            other = table.device_delay_s + pools.sum(axis=0)
            kept = (other <= table.deadline_s) & (pools[0] <= table.uplink_limit_s)
            worse = other + (paid * shares).sum(axis=0) >= cost * (1 - 1e-10)
            assert (worse | ~kept).all()


def test_response_without_limits() -> None:
    rng = np.random.default_rng(0)
    for seed in range(5):
        table = random_table(4, 2, seed)
        assert_best_response(table, random_prices(table, rng), rng)


def test_shares_without_deadlines_are_closed_forms() -> None:
    """The same as the response's, to the accuracy of the tabulated uplink, budgets included."""
    rng = np.random.default_rng(3)
    for seed in range(5):
        table = random_table(6, 2, seed)
        slack = np.exp(rng.uniform(-3, 2, len(table)))
        limit = np.where(rng.random(len(table)) < 0.5, whole_pools(table)[0] * (1 + slack), np.inf)
        table, prices = replace(table, uplink_limit_s=limit), random_prices(table, rng)
        exact, found = respond(table, prices), free_shares(table, prices, least_uploads(table))
        np.testing.assert_allclose(found, exact.shares, rtol=1e-8)
        assert (found[0] > free_shares(table, prices)[0] * (1 + 1e-6)).any()


def test_response_within_limits() -> None:
    """Deadlines, upload limits and both at once, from loose to hardly possible."""
    rng = np.random.default_rng(1)
    both = 0
    for seed in range(30):
        table = random_table(4, 2, seed)
        pools = whole_pools(table)
        least = table.device_delay_s + pools.sum(axis=0)
        slack = np.exp(rng.uniform(-7, 2, (2, len(table))))
        tight = replace(
            table,
            deadline_s=least * (1 + slack[0]),
            uplink_limit_s=np.where(
                rng.random(len(table)) < 0.5, pools[0] * (1 + slack[1]) + 1e-9, np.inf
            ),
        )
        prices = random_prices(tight, rng)
        assert_best_response(tight, prices, rng)
        found = respond(tight, prices)
        uploads = pool_delays(tight, found.shares)[0]
        held = (tight.uplink_bits > 0) & (uploads >= tight.uplink_limit_s * (1 - 1e-9))
        both += int((held & (found.weight > 1)).sum())
        for k in range(0, len(tight), 5):
            alone = respond(tight.take(np.array([k])), prices)
            assert alone.delay == pytest.approx(found.delay[[k]], rel=1e-12)
            assert alone.shares == pytest.approx(found.shares[:, [k]], rel=1e-9)
    assert both > 10


def test_deadline_beyond_the_kink_of_the_upload_limit() -> None:
    """The limit holds the upload, the rest is quick: only at a high weight does the upload move.

    Newton's method from the flat side of the kink leaps to weights beyond all floats.
    """
    table = random_table(3, 1, 0)
    table = table.take(table.place == SERVER)
    pools = whole_pools(table)
    table = replace(
        table,
        downlink_work=table.downlink_work * 1e-14,
        server_cycles=table.server_cycles * 1e-14,
        uplink_limit_s=pools[0] * 1.5,
        deadline_s=pools[0] * 1.2,
    )
    prices = 1000 * pools[0].mean() / table.capacity
    found = respond(table, prices)
    assert (found.weight < 1e9).all()
    assert (found.weight > 1).all()
    assert found.delay == pytest.approx(table.deadline_s, rel=1e-10)
    assert_best_response(table, prices, np.random.default_rng(0))


def test_least_response() -> None:
    """Limits are kept at a cost that no random shares undercut; without limits it is nothing."""
    rng = np.random.default_rng(2)
    for seed in range(10):
        table = limited_table(seed, 4, 2, 0.8, 1.2)
        prices = random_prices(table, rng)
        found = respond(table, prices, least=True)
        pools = pool_delays(table, np.maximum(found.shares, 1e-300))
        delay = table.device_delay_s + pools.sum(axis=0)
        late, held = np.isfinite(table.deadline_s), np.isfinite(table.uplink_limit_s)
        free = ~late & ~(held & (table.uplink_bits > 0))
        assert (found.cost[free] == 0).all()
        assert (delay <= table.deadline_s * (1 + 1e-10)).all()
        assert (pools[0] <= table.uplink_limit_s * (1 + 1e-10)).all()
        paid = prices[:, table.server]
        assert found.cost == pytest.approx((paid * found.shares).sum(axis=0), rel=1e-12)
        for _ in range(50):
            shares = found.shares * np.exp(0.1 * rng.standard_normal(found.shares.shape))
            pools = pool_delays(table, np.maximum(shares, 1e-300))
            other = table.device_delay_s + pools.sum(axis=0)
            kept = (other <= table.deadline_s) & (pools[0] <= table.uplink_limit_s)
            worse = (paid * shares).sum(axis=0) >= found.cost * (1 - 1e-10)
            assert (worse | ~kept).all()

"""Choices without an allocation: conflicts are proofs, met only where no shares exist."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import dtkd_opt as do
from dtkd_opt.pricing.constrained_allocation import Conflict, find_conflict
from dtkd_opt.pricing.equal_shares import first_prices
from dtkd_opt.problem.options import SERVER, Options, pool_delays
from dtkd_opt.records.arrays import Array, Index
from tests.support.duality import share_for_delay
from tests.support.instances import small_instance, user
from tests.support.options import (
    Cases,
    allocate_or_conflicts,
    constrained_case,
    options_at,
    random_choice,
    random_options,
    whole_pools,
    with_limits,
)

Conflicts = list[tuple[Options, Index, Conflict]]


def min_cost(options: Options, k: int, price: Array) -> float:
    """The minimum of price · shares at which option k keeps its deadline and its upload limit."""
    budget = float(options.deadline_s[k] - options.device_delay_s[k])
    limit, uploads = float(options.uplink_limit_s[k]), options.uplink_bits[k] > 0
    rest = float(np.sqrt(price[1:] * options.needs[1:, k]).sum())
    if not uploads:
        return rest**2 / budget if np.isfinite(budget) else 0.0
    lower = float(options.uplink_bits[k] / options.uplink_snr_hz[k] * np.log(2))
    upper = min(limit, budget)
    if not np.isfinite(upper):
        return 0.0
    assert lower < upper

    def cost(upload_s: float) -> float:
        remaining = rest**2 / (budget - upload_s) if np.isfinite(budget) else 0.0
        return float(price[0] * np.exp(share_for_delay(options, k, upload_s))) + remaining

    span = upper - lower
    low, high = lower + 1e-9 * span, upper if limit < budget else upper - 1e-9 * span
    inner = minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-10})
    return min(float(inner.fun), cost(high))


@pytest.fixture(scope="session")
def conflicts() -> Conflicts:
    """25 proofs."""
    found = []
    for seed in range(2000, 2100):
        options, choice = constrained_case(seed, 0.75, 1.05, max_users=8)
        if isinstance(proofs := allocate_or_conflicts(options, choice), list):
            found += [(options, choice, conflict) for conflict in proofs]
        if len(found) >= 25:
            break
    return found


def test_conflicts_are_proofs(conflicts: Conflicts) -> None:
    """Keeping the limits of the named users costs more than the pools are worth, done by hand."""
    for options, choice, conflict in conflicts:
        on_server = choice[options.server[choice] == conflict.server]
        capacity = options.capacity[:, conflict.server]
        assert (conflict.prices > 0).all()
        assert conflict.prices @ capacity == pytest.approx(1.0, rel=1e-12)
        assert (options.server[choice[conflict.users]] == conflict.server).all()
        named = [min_cost(options, int(k), conflict.prices) for k in choice[conflict.users]]
        everyone = [min_cost(options, int(k), conflict.prices) for k in on_server]
        assert sum(named) > 1
        assert sum(everyone) == pytest.approx(conflict.excess, rel=1e-6)
        assert conflict.pool == int(np.argmax(conflict.prices * capacity))
        if len(named) > 1:  # a smallest set by cost: without its cheapest it proves nothing
            assert sum(named) - min(named) <= 1 + 1e-9


def test_conflicts_persist_among_their_users_only(conflicts: Conflicts) -> None:
    for options, choice, conflict in conflicts:
        with pytest.raises(do.ChoiceInfeasible) as caught:
            do.allocate(options, choice[conflict.users])
        (again,) = caught.value.conflicts
        assert again.server == conflict.server
        assert again.excess > 1


def test_conflict_says_who_where_and_what(conflicts: Conflicts) -> None:
    conflict = conflicts[0][-1]
    line = conflict.describe("edge-7", [f"u{n}" for n in range(12)])
    assert 'server "edge-7"' in line
    assert "12 users (u0, u1, u2, u3, u4, u5, u6, u7, …)" in line
    assert ["uplink", "downlink", "CPU"][conflict.pool] in line


def test_every_overloaded_server_is_reported() -> None:
    """Two servers, each with deadlines a little above what each user has with all to itself."""
    users = [user(f"u{n}", channel_gain=(2e-12, None)) for n in range(3)]
    users += [user(f"v{n}", channel_gain=(None, 2e-12)) for n in range(3)]
    options, choice = options_at(small_instance(*users), SERVER)
    min_delay = whole_pools(options)[:, choice].sum(axis=0)
    tight = with_limits(options, min_delay * 1.2, np.full(6, np.inf))
    with pytest.raises(do.ChoiceInfeasible) as caught:
        do.allocate(tight, choice)
    assert [conflict.server for conflict in caught.value.conflicts] == [0, 1]
    assert set(caught.value.conflicts[0].users) <= {0, 1, 2}
    assert set(caught.value.conflicts[1].users) <= {3, 4, 5}


def grid_finds_shares(options: Options, choice: Index, points: int) -> bool:
    """Whether any of a grid of splits between two users of a server keeps their limits."""
    capacity = options.capacity[:, int(options.server[choice[0]])]
    share = np.linspace(0, 1, points + 2)[1:-1]
    kept: list[Array] = []
    for k, split in zip(choice, (share, 1 - share), strict=True):
        row = options.select_rows(np.full(points, k))
        pools = pool_delays(row, split * capacity[:, None])
        pools[0, pools[0] > options.uplink_limit_s[k]] = np.inf
        total = pools[0][:, None, None] + pools[1][None, :, None] + pools[2][None, None, :]
        kept.append(options.device_delay_s[k] + total <= options.deadline_s[k])
    return bool((kept[0] & kept[1]).any())


def test_a_grid_of_splits_agrees() -> None:
    """Two users, 60 x 60 x 60 splits of the pools: none where there is a proof, some elsewhere."""
    verdicts = Counter[bool]()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        options = random_options(2, 1, seed)
        choice = random_choice(options, rng)
        delay = do.allocate(options, choice).delay
        deadline = delay * rng.uniform(0.8, 1.1, 2)
        min_delay = options.device_delay_s[choice] + whole_pools(options)[:, choice].sum(axis=0)
        if (deadline <= min_delay).any():
            continue
        constrained = with_limits(options, deadline, np.full(2, np.inf))
        try:
            do.allocate(constrained, choice)
        except do.ChoiceInfeasible:
            assert not grid_finds_shares(constrained, choice, 60)
            verdicts[False] += 1
        else:
            # a grid misses what is barely feasible
            assert grid_finds_shares(
                replace(constrained, deadline_s=constrained.deadline_s * 1.03), choice, 60
            )
            verdicts[True] += 1
    assert verdicts[True] > 5
    assert verdicts[False] > 3


def test_no_conflict_at_any_prices_where_shares_exist(cases: Cases) -> None:
    rng = np.random.default_rng(0)
    for options, choice, allocation in cases:
        base = np.where(allocation.prices > 0, allocation.prices, first_prices(options) + 1e-30)
        for _ in range(10):
            prices = base * np.exp(rng.normal(0, 2, base.shape))
            for s in range(options.n_servers):
                rows = np.flatnonzero(options.server[choice] == s)
                if len(rows):
                    assert (
                        find_conflict(
                            options.select_rows(choice).select_rows(rows), prices, s, rows
                        )
                        is None
                    )

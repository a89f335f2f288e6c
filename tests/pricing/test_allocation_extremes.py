"""Allocations at the edge: odd magnitudes, limits that only just hold, users who need nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.problem.options import DEVICE, SERVER, Index, Options, pool_delays
from tests.support.duality import dual_value
from tests.support.instances import small_instance, user
from tests.support.options import (
    allocate_or_conflicts,
    constrain,
    free_case,
    options_at,
    random_choice,
    random_options,
    whole_pools,
    with_limits,
)


def assert_optimal(options: Options, choice: Index) -> do.Allocation:
    """Full pools, and no better allocation by weak duality."""
    allocation = do.allocate(options, choice)
    assert dual_value(options, choice, allocation) == pytest.approx(
        allocation.delay.sum(), rel=1e-9
    )
    for s in range(options.n_servers):
        mine = options.server[choice] == s
        used = options.needs[:, choice[mine]].sum(axis=1) > 0
        handed = allocation.shares[:, mine].sum(axis=1)
        assert handed[used] == pytest.approx(options.capacity[used, s], rel=1e-9)
    return allocation


@pytest.mark.parametrize("seed", range(6))
def test_gains_over_twelve_orders_of_magnitude(seed: int) -> None:
    options, choice = free_case(seed)
    scale = 10 ** np.random.default_rng(seed).uniform(-6, 6, options.n_users)
    assert_optimal(
        replace(options, uplink_snr_hz=options.uplink_snr_hz * scale[options.user]), choice
    )


@pytest.mark.parametrize("place", [DEVICE, SERVER])
def test_one_user_gets_everything_it_needs(place: int) -> None:
    options, choice = options_at(small_instance(user("u")), place)
    allocation = assert_optimal(options, choice)
    capacity = options.capacity[:, options.server[choice]]
    expected = np.where(options.needs[:, choice] > 0, capacity, 0.0)
    assert allocation.shares == pytest.approx(expected, rel=1e-12)


def test_users_without_fresh_samples_upload_nothing() -> None:
    users = [user("a", fresh_fraction=0.0), user("b", fresh_fraction=0.0, samples=900), user("c")]
    options, choice = options_at(small_instance(*users), SERVER)
    choice[:] = [k - (options.server[k] != 0) for k in choice]
    allocation = assert_optimal(options, choice)
    assert allocation.shares[0].tolist() == [0.0, 0.0, 1e6]
    nobody = assert_optimal(options, choice[:2])
    assert (nobody.shares[0] == 0).all()
    assert nobody.prices[0, 0] == 0


def test_devices_with_only_fresh_samples_need_no_server() -> None:
    users = [user("a", fresh_fraction=1.0), user("b", fresh_fraction=1.0, samples=900)]
    options, choice = options_at(small_instance(*users), DEVICE)
    allocation = do.allocate(options, choice)
    assert (allocation.shares == 0).all()
    assert (allocation.prices == 0).all()
    assert allocation.delay.tolist() == options.device_delay_s[choice].tolist()


@pytest.mark.parametrize("limit", ["none", "deadline", "upload"])
def test_equal_users_get_equal_shares(limit: str) -> None:
    options, choice = options_at(small_instance(*[user(f"u{n}") for n in range(7)]), SERVER)
    delay, free = do.allocate(options, choice).delay, np.full(7, np.inf)
    if limit == "deadline":
        options = with_limits(options, delay * 1.0001, free)
    if limit == "upload":
        upload = pool_delays(options.select_rows(choice), do.allocate(options, choice).shares)[0]
        options = with_limits(options, free, upload * 1.0001)
    allocation = do.allocate(options, choice)
    wanted = np.repeat(options.capacity[:, :1] / 7, 7, axis=1)
    assert allocation.shares == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("excess", [0.0, 3e-16, 1e-15, 1e-13, 1e-11, 1e-10, 1e-8, 1e-4])
def test_deadlines_at_the_very_delays_of_an_allocation(excess: float) -> None:
    """All deadlines bind at once and prices may rise together without an effect."""
    for seed in (72, 93, 153, 183, 216, 237, 390, 435, 534, 597, 11, 12, 13):
        rng = np.random.default_rng(seed)
        options = random_options(1 + seed % 3, 1, seed)
        choice = random_choice(options, rng)
        constrained = constrain(options, choice, rng, 0.85, 1.0)
        if isinstance(before := allocate_or_conflicts(constrained, choice), list):
            continue
        min_delay = options.device_delay_s[choice] + whole_pools(options)[:, choice].sum(axis=0)
        deadline = np.maximum(before.delay * (1 + excess), min_delay)
        tight = with_limits(options, deadline, np.full(options.n_users, np.inf))
        found = do.allocate(tight, choice)
        assert found.delay.sum() <= before.delay.sum() * (1 + max(excess, 1e-9))
        assert (found.delay <= deadline * (1 + 1e-9)).all()


@pytest.mark.parametrize("excess", [1e-12, 5e-9, 1e-6, 1e-2])
def test_an_upload_limit_that_takes_nearly_the_whole_band(excess: float) -> None:
    """The limit holds the only upload's share, so that no price of the band moves it."""
    options, choice = options_at(small_instance(user("u", channel_gain=(1e-11, None))), SERVER)
    limit = whole_pools(options)[0, choice] * (1 + excess)
    allocation = do.allocate(with_limits(options, np.full(1, np.inf), limit), choice)
    assert allocation.shares[:, 0] == pytest.approx(options.capacity[:, 0], rel=1e-9)


def test_a_deadline_that_rounding_alone_leaves_open() -> None:
    """A device that needs all its deadline but for the last bit, and labels within that bit."""
    options, choice = options_at(small_instance(user("slow"), user("other")), DEVICE)
    slow, capacity = choice[0], options.capacity[1, 0]
    options.downlink_work[slow] = (
        0.4 * np.finfo(float).eps * options.device_delay_s[slow] * capacity
    )
    deadline = np.array([options.device_delay_s[slow], np.inf])
    allocation = do.allocate(with_limits(options, deadline, np.full(2, np.inf)), choice)
    assert allocation.delay[0] == pytest.approx(deadline[0], rel=1e-12)
    assert allocation.shares[1].sum() == pytest.approx(capacity, rel=1e-12)
    assert (allocation.shares[1] > 0.1 * capacity).all()


def test_five_hundred_constrained_choices() -> None:
    """Each is allocated within its limits or proven to have no allocation; nothing else."""
    verdicts = Counter[str]()
    tables = {(n, s): random_options(n, s, n + s) for n in (1, 2, 3, 5, 12, 30) for s in (1, 2)}
    rng = np.random.default_rng(5)
    for trial in range(500):
        size = [1, 2, 3, 5, 12, 30][trial % 6]
        options = tables[size, 1 + trial % 2]
        if trial % 3 == 0:
            scale = 10 ** rng.uniform(-6, 6, size)
            options = replace(options, uplink_snr_hz=options.uplink_snr_hz * scale[options.user])
        choice = random_choice(options, rng)
        centre = rng.uniform(0.6, 1.3)
        options = constrain(options, choice, rng, 0.8 * centre, 1.2 * centre)
        allocation = allocate_or_conflicts(options, choice)
        if isinstance(allocation, list):
            assert all(conflict.excess > 1 for conflict in allocation)
            verdicts["infeasible"] += 1
            continue
        picked = options.select_rows(choice)
        pools = pool_delays(picked, allocation.shares)
        assert (allocation.delay <= picked.deadline_s * (1 + 1e-9)).all()
        assert (pools[0] <= picked.uplink_limit_s * (1 + 1e-9)).all()
        verdicts["feasible"] += 1
    assert verdicts["feasible"] > 200
    assert verdicts["infeasible"] > 40

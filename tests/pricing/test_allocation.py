"""The allocation of a fixed choice: against Clarabel, by its optimality conditions, at the edge."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.problem.options import DEVICE, SERVER, Options, pool_delays
from dtkd_opt.problem.physics import uplink_rate
from dtkd_opt.records.arrays import Index
from tests.support.duality import dual_value
from tests.support.instances import small_instance, user
from tests.support.options import (
    Cases,
    allocate_or_conflicts,
    constrain,
    constrained_case,
    free_case,
    options_at,
    random_choice,
    random_options,
    whole_pools,
    with_limits,
)


def clarabel(options: Options, choice: Index) -> tuple[str, float]:
    """The same problem by cvxpy and Clarabel, in fractions of the pools."""
    import cvxpy as cp

    picked = options.select_rows(choice)
    size, capacity = len(picked), options.capacity[:, picked.server]
    share, delay = cp.Variable((3, size), nonneg=True), cp.Variable((3, size), nonneg=True)
    held = []
    for n in range(size):
        if picked.uplink_bits[n] > 0:
            snr = picked.uplink_snr_hz[n] / capacity[0, n]
            nats = cp.Variable(nonneg=True)  # x ln(1 + γ / x)
            need = picked.uplink_bits[n] * np.log(2) / capacity[0, n]
            held += [
                nats <= -cp.rel_entr(share[0, n], share[0, n] + snr),
                delay[0, n] >= need * cp.inv_pos(nats),
                delay[0, n] <= min(picked.uplink_limit_s[n], 1e6),
            ]
        for p in (1, 2):
            need = picked.needs[p, n] / capacity[p, n]
            if need > 0:
                held.append(delay[p, n] >= need * cp.inv_pos(share[p, n]))
    total = picked.device_delay_s + cp.sum(delay, axis=0)
    late = np.flatnonzero(np.isfinite(picked.deadline_s))
    if len(late):
        held.append(total[late] <= picked.deadline_s[late])
    for s in range(options.n_servers):
        mine = np.flatnonzero(picked.server == s)
        if len(mine):
            held.append(cp.sum(share[:, mine], axis=1) <= 1)
    problem = cp.Problem(cp.Minimize(cp.sum(total)), held)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cvxpy warns of inaccurate solutions
        try:
            problem.solve(solver=cp.CLARABEL)
        except cp.SolverError:
            return "error", np.nan
    return problem.status, float(problem.value)


def test_clarabel_agrees() -> None:
    """Verdicts equal and objectives within 1e-6 on random choices, with and without limits."""
    pytest.importorskip("cvxpy")
    verdicts: Counter[str] = Counter()
    for seed in range(60):
        options, choice = free_case(seed) if seed % 5 == 0 else constrained_case(seed, 0.7, 1.1)
        status, value = clarabel(options, choice)
        if status not in ("optimal", "infeasible"):
            verdicts["inconclusive"] += 1
            continue
        try:
            total = float(do.allocate(options, choice).delay.sum())
        except do.ChoiceInfeasible as error:
            if min(conflict.excess for conflict in error.conflicts) < 1 + 1e-6:
                verdicts["inconclusive"] += 1  # closer than Clarabel can tell
                continue
            assert status == "infeasible", seed
        else:
            assert status == "optimal", seed
            assert total == pytest.approx(value, rel=1e-6), seed
        verdicts[status] += 1
    assert verdicts["inconclusive"] <= 6
    assert verdicts["infeasible"] >= 10
    assert verdicts["optimal"] >= 30


# --- optimality conditions


def test_pools_are_filled_and_never_overrun(cases: Cases) -> None:
    """Every pool that someone needs, to 1e-9; others hand out nothing and have no price."""
    for options, choice, allocation in cases:
        needs, server = options.needs[:, choice], options.server[choice]
        for s in range(options.n_servers):
            mine = server == s
            used = needs[:, mine].sum(axis=1) > 0
            handed = allocation.shares[:, mine].sum(axis=1)
            assert handed[used] == pytest.approx(options.capacity[used, s], rel=1e-9)
            assert (handed <= options.capacity[:, s] * (1 + 1e-15)).all()
            assert (handed[~used] == 0).all()
            assert (allocation.prices[used, s] > 0).all()
            assert (allocation.prices[~used, s] == 0).all()
        assert ((allocation.shares > 0) == (needs > 0)).all()


def test_limits_are_kept(cases: Cases) -> None:
    bound = Counter[str]()
    for options, choice, allocation in cases:
        picked = options.select_rows(choice)
        pools = pool_delays(picked, allocation.shares)
        delay = picked.device_delay_s + pools.sum(axis=0)
        assert allocation.delay == pytest.approx(delay, rel=1e-12)
        assert (delay <= picked.deadline_s * (1 + 1e-9)).all()
        assert (pools[0] <= picked.uplink_limit_s * (1 + 1e-9)).all()
        bound["deadline"] += int((delay >= picked.deadline_s * (1 - 1e-9)).sum())
        bound["upload"] += int((pools[0] >= picked.uplink_limit_s * (1 - 1e-9)).sum())
    assert min(bound["deadline"], bound["upload"]) > 5


def test_weight_above_one_only_where_the_deadline_binds(cases: Cases) -> None:
    raised = 0
    for options, choice, allocation in cases:
        deadline = options.deadline_s[choice]
        assert (allocation.weight >= 1).all()
        above = allocation.weight > 1
        assert allocation.delay[above] == pytest.approx(deadline[above], rel=1e-9)
        raised += int(above.sum())
    assert raised > 5


def test_shares_are_stationary(cases: Cases) -> None:
    """weight · -dT/dx = λ in each pool; where the upload limit holds a share, λ is the larger."""
    held = 0
    for options, choice, allocation in cases:
        picked = options.select_rows(choice)
        price = allocation.prices[:, picked.server]
        weight, shares = allocation.weight, allocation.shares
        for p in (1, 2):
            needy = picked.needs[p] > 0
            value = weight * picked.needs[p] / np.where(needy, shares[p], 1.0) ** 2
            assert value[needy] == pytest.approx(price[p, needy], rel=1e-8)
        h = 1e-5
        up = picked.uplink_bits > 0
        snr, b = picked.uplink_snr_hz[up], shares[0, up]
        more, less = uplink_rate(b * (1 + h), snr), uplink_rate(b * (1 - h), snr)
        bits = picked.uplink_bits[up]
        value = weight[up] * (bits / less - bits / more) / (2 * h * b)
        limit = picked.uplink_limit_s[up]
        at_limit = bits / uplink_rate(b, snr) >= limit * (1 - 1e-9)
        assert value[~at_limit] == pytest.approx(price[0, up][~at_limit], rel=1e-4)
        assert (value[at_limit] <= price[0, up][at_limit] * (1 + 1e-4)).all()
        held += int(at_limit.sum())
    assert held > 5


def test_prices_are_the_marginal_values_of_the_pools(cases: Cases) -> None:
    """-d ΣT / dC by central differences, wherever the pool matters."""
    compared = 0
    for options, choice, allocation in cases[:12]:
        total = allocation.delay.sum()
        for p, s in np.argwhere(allocation.prices * options.capacity > 1e-3 * total):
            h, values = 1e-5, []
            for sign in (-1, 1):
                capacity = options.capacity.copy()
                capacity[p, s] *= 1 + sign * h
                values.append(do.allocate(replace(options, capacity=capacity), choice).delay.sum())
            slope = (values[0] - values[1]) / (2 * h * options.capacity[p, s])
            assert slope == pytest.approx(allocation.prices[p, s], rel=1e-4)
            compared += 1
    assert compared > 20


# --- exactness


def test_weak_duality_closes(cases: Cases) -> None:
    """No allocation can be better than the prices' value, recomputed here; ours is equal."""
    for options, choice, allocation in cases:
        total = allocation.delay.sum()
        assert dual_value(options, choice, allocation) == pytest.approx(total, rel=1e-9)


def test_any_other_prices_are_worth_less(cases: Cases) -> None:
    """The value at other prices stays below the minimum delay: it is a bound, not a coincidence."""
    rng = np.random.default_rng(0)
    for options, choice, allocation in cases[:8]:
        other = replace(
            allocation,
            prices=allocation.prices * np.exp(rng.normal(0, 0.3, (3, options.n_servers))),
        )
        assert dual_value(options, choice, other) < allocation.delay.sum() * (1 - 1e-6)


# --- monotone and symmetric


@pytest.mark.parametrize("pool", range(3))
def test_more_of_a_pool_never_costs_more(pool: int, cases: Cases) -> None:
    gained = 0
    for options, choice, allocation in cases:
        for s in range(options.n_servers):
            capacity = options.capacity.copy()
            capacity[pool, s] *= 1.1
            more = do.allocate(replace(options, capacity=capacity), choice).delay.sum()
            assert more <= allocation.delay.sum() * (1 + 1e-10)
            gained += more < allocation.delay.sum() * (1 - 1e-6)
    assert gained > 10


def test_relabelling_users_permutes_the_shares(cases: Cases) -> None:
    for seed, (options, choice, allocation) in enumerate(cases):
        order = np.random.default_rng(seed).permutation(len(choice))
        again = do.allocate(options, choice[order])
        assert again.shares == pytest.approx(allocation.shares[:, order], rel=1e-8)
        assert again.delay == pytest.approx(allocation.delay[order], rel=1e-9)
        assert again.prices == pytest.approx(allocation.prices, rel=1e-6)


def test_servers_do_not_touch_each_other(cases: Cases) -> None:
    """The users of one server get the same shares with and without the other servers' users."""
    for options, choice, allocation in cases:
        mine = np.flatnonzero(options.server[choice] == options.server[choice[0]])
        single = do.allocate(options, choice[mine])
        assert single.shares.tolist() == allocation.shares[:, mine].tolist()


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


def test_allocate_refuses_two_options_of_a_user() -> None:
    options = do.build_options(do.generate_instance(3))
    with pytest.raises(do.InputError, match="two options of a user"):
        do.allocate(options, options.start[:-1].repeat(2))
    with pytest.raises(
        do.InputError, match="choice: must hold whole numbers from 0 to 35, got 999"
    ):
        do.allocate(options, np.array([999]))

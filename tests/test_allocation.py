"""The allocation of a fixed choice: against Clarabel, by its optimality conditions, its proofs."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from helpers import (
    constrain,
    random_choice,
    random_table,
    small_instance,
    user,
    whole_pools,
    with_limits,
)
from scipy.optimize import brentq, minimize_scalar

import dtkd_opt as do
from dtkd_opt.equal import first_prices
from dtkd_opt.limited import Conflict, find_conflict
from dtkd_opt.options import DEVICE, SERVER, Index, OptionTable, pool_delays
from dtkd_opt.physics import Array, uplink_rate

Case = tuple[OptionTable, Index]
Cases = list[tuple[OptionTable, Index, do.Allocation]]
Conflicts = list[tuple[OptionTable, Index, Conflict]]


def constrained_case(seed: int, low: float = 0.9, high: float = 1.4, most: int = 12) -> Case:
    """A random choice of up to `most` users on up to three servers, with limits."""
    rng = np.random.default_rng(seed)
    table = random_table(int(rng.integers(1, most + 1)), int(rng.integers(1, 4)), seed)
    choice = random_choice(table, rng)
    return constrain(table, choice, rng, low, high), choice


def free_case(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    table = random_table(int(rng.integers(1, 13)), int(rng.integers(1, 4)), seed)
    return table, random_choice(table, rng)


@pytest.fixture(scope="module")
def cases() -> Cases:
    """The allocations of 25 constrained choices."""
    found = []
    for seed in range(1000, 1100):
        table, choice = constrained_case(seed)
        try:
            found.append((table, choice, do.allocate(table, choice)))
        except do.ChoiceInfeasible:
            continue
        if len(found) == 25:
            break
    return found


def tables_of(instance: do.Instance, place: int) -> Case:
    """Each user's first option of a place."""
    table = do.build_options(instance)
    rows = np.flatnonzero(table.place == place)
    first = np.unique(table.user[rows], return_index=True)[1]
    return table, rows[first]


# --- plain formulas, apart from those of the package


def upload_delay(table: OptionTable, k: int, log_b: float) -> float:
    """L / r_ul(b) [s] of option k at b = exp(log_b)."""
    b = np.exp(log_b)
    return float(table.uplink_bits[k] * np.log(2) / (b * np.log1p(table.uplink_snr_hz[k] / b)))


def share_for_delay(table: OptionTable, k: int, delay: float) -> float:
    """log of the uplink band [Hz] at which option k uploads in a given time."""
    centre = float(np.log(table.uplink_snr_hz[k]))
    log_b: float = brentq(
        lambda x: np.log(upload_delay(table, k, x) / delay), centre - 80, centre + 30, xtol=1e-13
    )
    return log_b


def priced_upload(table: OptionTable, k: int, price: float, weight: float) -> float:
    """min weight · L / r(b) + price · b, the upload's limit kept."""
    centre = float(np.log(table.uplink_snr_hz[k]))
    low, high = centre - 60, centre + 30
    if np.isfinite(table.uplink_limit_s[k]):
        low = share_for_delay(table, k, float(table.uplink_limit_s[k]))

    def cost(log_b: float) -> float:
        return weight * upload_delay(table, k, log_b) + price * float(np.exp(log_b))

    inner = minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-9})
    return min(float(inner.fun), cost(low))


def dual_value(table: OptionTable, choice: Index, allocation: do.Allocation) -> float:
    """Σ_n min_x [ w_n T_n(x) + λ x ] - (w_n - 1) T_n^max - λ C: at most the least total delay."""
    total = -float((allocation.prices * table.capacity).sum())
    for n, k in enumerate(choice):
        price = allocation.prices[:, table.server[k]]
        weight = float(allocation.weight[n])
        total += weight * float(table.device_delay_s[k])
        total += 2 * float(np.sqrt(weight * price[1:] * table.needs[1:, k]).sum())
        if table.uplink_bits[k]:
            total += priced_upload(table, int(k), float(price[0]), weight)
        if weight > 1:
            total -= (weight - 1) * float(table.deadline_s[k])
    return total


def least_cost(table: OptionTable, k: int, price: Array) -> float:
    """The least price · shares at which option k keeps its deadline and its upload limit."""
    budget = float(table.deadline_s[k] - table.device_delay_s[k])
    limit, uploads = float(table.uplink_limit_s[k]), table.uplink_bits[k] > 0
    rest = float(np.sqrt(price[1:] * table.needs[1:, k]).sum())
    if not uploads:
        return rest**2 / budget if np.isfinite(budget) else 0.0
    least = float(table.uplink_bits[k] / table.uplink_snr_hz[k] * np.log(2))
    most = min(limit, budget)
    if not np.isfinite(most):
        return 0.0
    assert least < most

    def cost(upload_s: float) -> float:
        remaining = rest**2 / (budget - upload_s) if np.isfinite(budget) else 0.0
        return float(price[0] * np.exp(share_for_delay(table, k, upload_s))) + remaining

    span = most - least
    low, high = least + 1e-9 * span, most if limit < budget else most - 1e-9 * span
    inner = minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-10})
    return min(float(inner.fun), cost(high))


def clarabel(table: OptionTable, choice: Index) -> tuple[str, float]:
    """The same problem by cvxpy and Clarabel, in fractions of the pools."""
    import cvxpy as cp

    picked = table.take(choice)
    size, capacity = len(picked), table.capacity[:, picked.server]
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
    for s in range(table.n_servers):
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


# --- (a) against Clarabel


def test_clarabel_agrees() -> None:
    """Verdicts equal and objectives within 1e-6 on random choices, with and without limits."""
    pytest.importorskip("cvxpy")
    verdicts: Counter[str] = Counter()
    for seed in range(60):
        table, choice = free_case(seed) if seed % 5 == 0 else constrained_case(seed, 0.7, 1.1)
        status, value = clarabel(table, choice)
        if status not in ("optimal", "infeasible"):
            verdicts["inconclusive"] += 1
            continue
        try:
            total = float(do.allocate(table, choice).delay.sum())
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


# --- (b) optimality conditions


def test_pools_are_filled_and_never_overrun(cases: Cases) -> None:
    """Every pool that someone needs, to 1e-9; others hand out nothing and have no price."""
    for table, choice, allocation in cases:
        needs, server = table.needs[:, choice], table.server[choice]
        for s in range(table.n_servers):
            mine = server == s
            used = needs[:, mine].sum(axis=1) > 0
            handed = allocation.shares[:, mine].sum(axis=1)
            assert handed[used] == pytest.approx(table.capacity[used, s], rel=1e-9)
            assert (handed <= table.capacity[:, s] * (1 + 1e-15)).all()
            assert (handed[~used] == 0).all()
            assert (allocation.prices[used, s] > 0).all()
            assert (allocation.prices[~used, s] == 0).all()
        assert ((allocation.shares > 0) == (needs > 0)).all()


def test_limits_are_kept(cases: Cases) -> None:
    bound = Counter[str]()
    for table, choice, allocation in cases:
        picked = table.take(choice)
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
    for table, choice, allocation in cases:
        deadline = table.deadline_s[choice]
        assert (allocation.weight >= 1).all()
        above = allocation.weight > 1
        assert allocation.delay[above] == pytest.approx(deadline[above], rel=1e-9)
        raised += int(above.sum())
    assert raised > 5


def test_shares_are_stationary(cases: Cases) -> None:
    """weight · -dT/dx = λ in each pool; where the upload limit holds a share, λ is the larger."""
    held = 0
    for table, choice, allocation in cases:
        picked = table.take(choice)
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
    for table, choice, allocation in cases[:12]:
        total = allocation.delay.sum()
        for p, s in np.argwhere(allocation.prices * table.capacity > 1e-3 * total):
            h, values = 1e-5, []
            for sign in (-1, 1):
                capacity = table.capacity.copy()
                capacity[p, s] *= 1 + sign * h
                values.append(do.allocate(replace(table, capacity=capacity), choice).delay.sum())
            slope = (values[0] - values[1]) / (2 * h * table.capacity[p, s])
            assert slope == pytest.approx(allocation.prices[p, s], rel=1e-4)
            compared += 1
    assert compared > 20


# --- (c) exactness


def test_weak_duality_closes(cases: Cases) -> None:
    """No allocation can be better than the prices' value, recomputed here; ours is equal."""
    for table, choice, allocation in cases:
        total = allocation.delay.sum()
        assert dual_value(table, choice, allocation) == pytest.approx(total, rel=1e-9)


def test_any_other_prices_are_worth_less(cases: Cases) -> None:
    """The value at other prices stays below the least delay: it is a bound, not a coincidence."""
    rng = np.random.default_rng(0)
    for table, choice, allocation in cases[:8]:
        other = replace(
            allocation, prices=allocation.prices * np.exp(rng.normal(0, 0.3, (3, table.n_servers)))
        )
        assert dual_value(table, choice, other) < allocation.delay.sum() * (1 - 1e-6)


# --- (d) choices without an allocation


def verdict(table: OptionTable, choice: Index) -> do.Allocation | list[Conflict]:
    """An allocation, or the proofs that there is none."""
    try:
        return do.allocate(table, choice)
    except do.ChoiceInfeasible as error:
        return error.conflicts or pytest.fail("infeasible without a proof")


@pytest.fixture(scope="module")
def conflicts() -> Conflicts:
    """25 proofs."""
    found = []
    for seed in range(2000, 2100):
        table, choice = constrained_case(seed, 0.75, 1.05, most=8)
        if isinstance(proofs := verdict(table, choice), list):
            found += [(table, choice, conflict) for conflict in proofs]
        if len(found) >= 25:
            break
    return found


def test_conflicts_are_proofs(conflicts: Conflicts) -> None:
    """Keeping the limits of the named users costs more than the pools are worth, done by hand."""
    for table, choice, conflict in conflicts:
        on_server = choice[table.server[choice] == conflict.server]
        capacity = table.capacity[:, conflict.server]
        assert (conflict.prices > 0).all()
        assert conflict.prices @ capacity == pytest.approx(1.0, rel=1e-12)
        assert (table.server[choice[conflict.users]] == conflict.server).all()
        named = [least_cost(table, int(k), conflict.prices) for k in choice[conflict.users]]
        everyone = [least_cost(table, int(k), conflict.prices) for k in on_server]
        assert sum(named) > 1
        assert sum(everyone) == pytest.approx(conflict.excess, rel=1e-6)
        assert conflict.pool == int(np.argmax(conflict.prices * capacity))
        if len(named) > 1:  # a smallest set by cost: without its cheapest it proves nothing
            assert sum(named) - min(named) <= 1 + 1e-9


def test_conflicts_persist_among_their_users_alone(conflicts: Conflicts) -> None:
    for table, choice, conflict in conflicts:
        with pytest.raises(do.ChoiceInfeasible) as caught:
            do.allocate(table, choice[conflict.users])
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
    table, choice = tables_of(small_instance(*users), SERVER)
    alone = whole_pools(table)[:, choice].sum(axis=0)
    tight = with_limits(table, alone * 1.2, np.full(6, np.inf))
    with pytest.raises(do.ChoiceInfeasible) as caught:
        do.allocate(tight, choice)
    assert [conflict.server for conflict in caught.value.conflicts] == [0, 1]
    assert set(caught.value.conflicts[0].users) <= {0, 1, 2}
    assert set(caught.value.conflicts[1].users) <= {3, 4, 5}


def grid_finds_shares(table: OptionTable, choice: Index, points: int) -> bool:
    """Whether any of a grid of splits between two users of a server keeps their limits."""
    capacity = table.capacity[:, int(table.server[choice[0]])]
    share = np.linspace(0, 1, points + 2)[1:-1]
    kept: list[Array] = []
    for k, split in zip(choice, (share, 1 - share), strict=True):
        row = table.take(np.full(points, k))
        pools = pool_delays(row, split * capacity[:, None])
        pools[0, pools[0] > table.uplink_limit_s[k]] = np.inf
        total = pools[0][:, None, None] + pools[1][None, :, None] + pools[2][None, None, :]
        kept.append(table.device_delay_s[k] + total <= table.deadline_s[k])
    return bool((kept[0] & kept[1]).any())


def test_a_grid_of_splits_agrees() -> None:
    """Two users, 60 x 60 x 60 splits of the pools: none where there is a proof, some elsewhere."""
    verdicts = Counter[bool]()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        table = random_table(2, 1, seed)
        choice = random_choice(table, rng)
        delay = do.allocate(table, choice).delay
        deadline = delay * rng.uniform(0.8, 1.1, 2)
        alone = table.device_delay_s[choice] + whole_pools(table)[:, choice].sum(axis=0)
        if (deadline <= alone).any():
            continue
        limited = with_limits(table, deadline, np.full(2, np.inf))
        try:
            do.allocate(limited, choice)
        except do.ChoiceInfeasible:
            assert not grid_finds_shares(limited, choice, 60)
            verdicts[False] += 1
        else:
            # a grid misses what is barely feasible
            assert grid_finds_shares(
                replace(limited, deadline_s=limited.deadline_s * 1.03), choice, 60
            )
            verdicts[True] += 1
    assert verdicts[True] > 5
    assert verdicts[False] > 3


def test_no_conflict_at_any_prices_where_shares_exist(cases: Cases) -> None:
    rng = np.random.default_rng(0)
    for table, choice, allocation in cases:
        base = np.where(allocation.prices > 0, allocation.prices, first_prices(table) + 1e-30)
        for _ in range(10):
            prices = base * np.exp(rng.normal(0, 2, base.shape))
            for s in range(table.n_servers):
                rows = np.flatnonzero(table.server[choice] == s)
                if len(rows):
                    assert find_conflict(table.take(choice).take(rows), prices, s, rows) is None


# --- (e) extremes


def assert_optimal(table: OptionTable, choice: Index) -> do.Allocation:
    """Full pools, and no better allocation by weak duality."""
    allocation = do.allocate(table, choice)
    assert dual_value(table, choice, allocation) == pytest.approx(allocation.delay.sum(), rel=1e-9)
    for s in range(table.n_servers):
        mine = table.server[choice] == s
        used = table.needs[:, choice[mine]].sum(axis=1) > 0
        handed = allocation.shares[:, mine].sum(axis=1)
        assert handed[used] == pytest.approx(table.capacity[used, s], rel=1e-9)
    return allocation


@pytest.mark.parametrize("seed", range(6))
def test_gains_over_twelve_orders_of_magnitude(seed: int) -> None:
    table, choice = free_case(seed)
    scale = 10 ** np.random.default_rng(seed).uniform(-6, 6, table.n_users)
    assert_optimal(replace(table, uplink_snr_hz=table.uplink_snr_hz * scale[table.user]), choice)


@pytest.mark.parametrize("place", [DEVICE, SERVER])
def test_one_user_gets_everything_it_needs(place: int) -> None:
    table, choice = tables_of(small_instance(user("u")), place)
    allocation = assert_optimal(table, choice)
    capacity = table.capacity[:, table.server[choice]]
    expected = np.where(table.needs[:, choice] > 0, capacity, 0.0)
    assert allocation.shares == pytest.approx(expected, rel=1e-12)


def test_users_without_fresh_samples_upload_nothing() -> None:
    users = [user("a", fresh_fraction=0.0), user("b", fresh_fraction=0.0, samples=900), user("c")]
    table, choice = tables_of(small_instance(*users), SERVER)
    choice[:] = [k - (table.server[k] != 0) for k in choice]
    allocation = assert_optimal(table, choice)
    assert allocation.shares[0].tolist() == [0.0, 0.0, 1e6]
    nobody = assert_optimal(table, choice[:2])
    assert (nobody.shares[0] == 0).all()
    assert nobody.prices[0, 0] == 0


def test_devices_with_only_fresh_samples_need_no_server() -> None:
    users = [user("a", fresh_fraction=1.0), user("b", fresh_fraction=1.0, samples=900)]
    table, choice = tables_of(small_instance(*users), DEVICE)
    allocation = do.allocate(table, choice)
    assert (allocation.shares == 0).all()
    assert (allocation.prices == 0).all()
    assert allocation.delay.tolist() == table.device_delay_s[choice].tolist()


@pytest.mark.parametrize("limit", ["none", "deadline", "upload"])
def test_equal_users_get_equal_shares(limit: str) -> None:
    table, choice = tables_of(small_instance(*[user(f"u{n}") for n in range(7)]), SERVER)
    delay, free = do.allocate(table, choice).delay, np.full(7, np.inf)
    if limit == "deadline":
        table = with_limits(table, delay * 1.0001, free)
    if limit == "upload":
        upload = pool_delays(table.take(choice), do.allocate(table, choice).shares)[0]
        table = with_limits(table, free, upload * 1.0001)
    allocation = do.allocate(table, choice)
    wanted = np.repeat(table.capacity[:, :1] / 7, 7, axis=1)
    assert allocation.shares == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("excess", [0.0, 3e-16, 1e-15, 1e-13, 1e-11, 1e-10, 1e-8, 1e-4])
def test_deadlines_at_the_very_delays_of_an_allocation(excess: float) -> None:
    """All deadlines bind at once and prices may rise together without an effect."""
    for seed in (72, 93, 153, 183, 216, 237, 390, 435, 534, 597, 11, 12, 13):
        rng = np.random.default_rng(seed)
        table = random_table(1 + seed % 3, 1, seed)
        choice = random_choice(table, rng)
        limited = constrain(table, choice, rng, 0.85, 1.0)
        if isinstance(before := verdict(limited, choice), list):
            continue
        alone = table.device_delay_s[choice] + whole_pools(table)[:, choice].sum(axis=0)
        deadline = np.maximum(before.delay * (1 + excess), alone)
        tight = with_limits(table, deadline, np.full(table.n_users, np.inf))
        found = do.allocate(tight, choice)
        assert found.delay.sum() <= before.delay.sum() * (1 + max(excess, 1e-9))
        assert (found.delay <= deadline * (1 + 1e-9)).all()


@pytest.mark.parametrize("excess", [1e-12, 5e-9, 1e-6, 1e-2])
def test_an_upload_limit_that_takes_nearly_the_whole_band(excess: float) -> None:
    """The limit holds the only upload's share, so that no price of the band moves it."""
    table, choice = tables_of(small_instance(user("u", channel_gain=(1e-11, None))), SERVER)
    limit = whole_pools(table)[0, choice] * (1 + excess)
    allocation = do.allocate(with_limits(table, np.full(1, np.inf), limit), choice)
    assert allocation.shares[:, 0] == pytest.approx(table.capacity[:, 0], rel=1e-9)


def test_a_deadline_that_rounding_alone_leaves_open() -> None:
    """A device that needs all its deadline but for the last bit, and labels within that bit."""
    table, choice = tables_of(small_instance(user("slow"), user("other")), DEVICE)
    slow, capacity = choice[0], table.capacity[1, 0]
    table.downlink_work[slow] = 0.4 * np.finfo(float).eps * table.device_delay_s[slow] * capacity
    deadline = np.array([table.device_delay_s[slow], np.inf])
    allocation = do.allocate(with_limits(table, deadline, np.full(2, np.inf)), choice)
    assert allocation.delay[0] == pytest.approx(deadline[0], rel=1e-12)
    assert allocation.shares[1].sum() == pytest.approx(capacity, rel=1e-12)
    assert (allocation.shares[1] > 0.1 * capacity).all()


# --- (f) monotone and symmetric


@pytest.mark.parametrize("pool", range(3))
def test_more_of_a_pool_never_costs_more(pool: int, cases: Cases) -> None:
    gained = 0
    for table, choice, allocation in cases:
        for s in range(table.n_servers):
            capacity = table.capacity.copy()
            capacity[pool, s] *= 1.1
            more = do.allocate(replace(table, capacity=capacity), choice).delay.sum()
            assert more <= allocation.delay.sum() * (1 + 1e-10)
            gained += more < allocation.delay.sum() * (1 - 1e-6)
    assert gained > 10


def test_relabelling_users_permutes_the_shares(cases: Cases) -> None:
    for seed, (table, choice, allocation) in enumerate(cases):
        order = np.random.default_rng(seed).permutation(len(choice))
        again = do.allocate(table, choice[order])
        assert again.shares == pytest.approx(allocation.shares[:, order], rel=1e-8)
        assert again.delay == pytest.approx(allocation.delay[order], rel=1e-9)
        assert again.prices == pytest.approx(allocation.prices, rel=1e-6)


def test_servers_do_not_touch_each_other(cases: Cases) -> None:
    """The users of one server get the same shares with and without the other servers' users."""
    for table, choice, allocation in cases:
        mine = np.flatnonzero(table.server[choice] == table.server[choice[0]])
        alone = do.allocate(table, choice[mine])
        assert alone.shares.tolist() == allocation.shares[:, mine].tolist()


# --- (g) stress


def test_five_hundred_constrained_choices() -> None:
    """Each is allocated within its limits or proven to have no allocation; nothing else."""
    verdicts = Counter[str]()
    tables = {(n, s): random_table(n, s, n + s) for n in (1, 2, 3, 5, 12, 30) for s in (1, 2)}
    rng = np.random.default_rng(5)
    for trial in range(500):
        size = [1, 2, 3, 5, 12, 30][trial % 6]
        table = tables[size, 1 + trial % 2]
        if trial % 3 == 0:
            scale = 10 ** rng.uniform(-6, 6, size)
            table = replace(table, uplink_snr_hz=table.uplink_snr_hz * scale[table.user])
        choice = random_choice(table, rng)
        centre = rng.uniform(0.6, 1.3)
        table = constrain(table, choice, rng, 0.8 * centre, 1.2 * centre)
        allocation = verdict(table, choice)
        if isinstance(allocation, list):
            assert all(conflict.excess > 1 for conflict in allocation)
            verdicts["infeasible"] += 1
            continue
        picked = table.take(choice)
        pools = pool_delays(picked, allocation.shares)
        assert (allocation.delay <= picked.deadline_s * (1 + 1e-9)).all()
        assert (pools[0] <= picked.uplink_limit_s * (1 + 1e-9)).all()
        verdicts["feasible"] += 1
    assert verdicts["feasible"] > 200
    assert verdicts["infeasible"] > 40

"""The allocation of a fixed choice: against Clarabel, and by its optimality conditions."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.problem.options import Index, Options, pool_delays
from dtkd_opt.problem.physics import uplink_rate
from tests.support.duality import dual_value
from tests.support.options import Cases, constrained_case, free_case


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

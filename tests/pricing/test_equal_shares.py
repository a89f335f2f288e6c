"""Equal shares: the choice that they suggest, and the prices to start from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings

import dtkd_opt as do
from dtkd_opt.pricing.equal_shares import (
    argmax_by_user,
    cheapest_options,
    equal_share_choice,
    equal_share_cost,
    first_prices,
    without_absurd_options,
    without_limits,
)
from dtkd_opt.problem.options import Options, pool_delays
from dtkd_opt.records.arrays import Array
from tests.support.options import (
    all_choices,
    constrained_options,
    mean_objective,
    random_options,
)
from tests.support.strategies import instances


def equal_shares(options: Options) -> Array:
    """(3, K) what each option gets where N / S users share each server's pools."""
    return options.capacity[:, options.server] / (options.n_users / options.n_servers)


def test_pools_are_shared_by_the_average_number_of_users() -> None:
    options = random_options(6, 2, 0)
    delay = options.device_delay_s + pool_delays(options, equal_shares(options)).sum(axis=0)
    assert equal_share_cost(options) == pytest.approx(delay + options.error_cost_s)


def test_an_option_that_breaks_its_limit_at_equal_shares_costs_inf() -> None:
    options = random_options(6, 2, 0)
    pools = pool_delays(options, equal_shares(options))
    delay = options.device_delay_s + pools.sum(axis=0)
    options = replace(
        options,
        deadline_s=np.full(len(options), np.quantile(delay, 0.7)),
        uplink_limit_s=np.full(len(options), np.quantile(pools[0], 0.7)),
    )
    kept = (delay <= options.deadline_s) & (pools[0] <= options.uplink_limit_s)
    assert 0 < kept.sum() < len(options)
    assert np.isfinite(equal_share_cost(options)).tolist() == kept.tolist()


def test_of_equal_values_the_first_counts() -> None:
    start = np.array([0, 3, 4, 6])
    assert argmax_by_user(np.array([1.0, 5, 5, -2, 7, 7]), start).tolist() == [1, 3, 4]


def test_who_has_no_finite_option_takes_none() -> None:
    options = random_options(3, 1, 0)
    cost = np.ones(len(options))
    cost[options.user == 1] = np.inf
    cost[options.start[2] + 2] = 0.5
    assert cheapest_options(options, cost).tolist() == [0, -1, options.start[2] + 2]


def test_each_user_takes_its_best_option_at_equal_shares() -> None:
    options = random_options(7, 3, 4)
    delays = options.device_delay_s + pool_delays(options, equal_shares(options)).sum(axis=0)
    cost = delays + options.error_cost_s
    for n, k in enumerate(equal_share_choice(options)):
        own = slice(options.start[n], options.start[n + 1])
        assert options.user[k] == n
        assert cost[k] == cost[own].min()


def test_first_prices_are_the_closed_form_of_what_their_choice_needs() -> None:
    """(Σ √need / C)² for downlink and CPU, whatever the limits; 0 where nothing is needed."""
    options = constrained_options(0, 6, 2, 0.9, 1.3)
    assert options.constrained
    assert not without_limits(options).constrained
    choice, prices = equal_share_choice(options), first_prices(options)
    for s in range(options.n_servers):
        mine = choice[options.server[choice] == s]
        needs = np.sqrt(options.needs[1:, mine]).sum(axis=1)
        assert prices[1:, s] == pytest.approx((needs / options.capacity[1:, s]) ** 2, rel=1e-9)
        assert (prices[0, s] > 0) == (options.uplink_bits[mine] > 0).any()


@given(instance=instances(limits=False, max_users=3, max_servers=2, max_models=2))
@settings(max_examples=40, deadline=None)
def test_no_best_plan_has_an_absurd_option(instance: do.Instance) -> None:
    options = do.build_options(instance)
    assume(np.prod(np.diff(options.start)) <= 200)
    kept = without_absurd_options(options)
    best, left = (min(mean_objective(o, c) for c in all_choices(o)) for o in (options, kept))
    assert left == pytest.approx(best, rel=1e-9)

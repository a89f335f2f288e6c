"""Equal shares: what users choose who do not know of prices, and prices to start from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.pricing.allocation import ChoiceInfeasible, allocate, mean_cost
from dtkd_opt.problem.options import Options, as_options, pool_delays
from dtkd_opt.records.arrays import Array, Index


def argmax_by_user(value: NDArray[np.floating], start: Index) -> Index:
    """(N,) the first row of greatest value among rows start[n]:start[n + 1]."""
    top = np.maximum.reduceat(value, start[:-1])
    good = np.flatnonzero(value == np.repeat(top, np.diff(start)))
    return np.asarray(good[np.searchsorted(good, start[:-1])])


def cheapest_options(options: Options, cost: Array) -> Index:
    """(N,) each user's first cheapest option; -1 where all are inf."""
    rows = argmax_by_user(-cost, options.start)
    return np.where(np.isfinite(cost[rows]), rows, -1)


def equal_share_cost(options: Options) -> Array:
    """(K,) delay and error cost [s] at equal shares, inf where they break a limit of the option.

    They are C / (N / S) of each pool, as if the users were spread evenly over the servers.
    """
    shares = options.capacity[:, options.server] * (options.n_servers / options.n_users)
    pools = pool_delays(options, shares)
    delay = options.device_delay_s + pools.sum(axis=0)
    violated = (delay > options.deadline_s) | (pools[0] > options.uplink_limit_s)
    return np.where(violated, np.inf, delay + options.error_cost_s)


def alone_cost(options: Options) -> Array:
    """(K,) delay and error cost [s] with all pools of its server to itself: the least there is."""
    pools = pool_delays(options, options.capacity[:, options.server])
    return np.asarray(options.device_delay_s + pools.sum(axis=0) + options.error_cost_s)


def without_absurd_options(options: Options) -> Options:
    """The options but for those that alone cost more than a whole plan: no best plan has them.

    The plan is the one that equal shares suggest; where it breaks a limit, all options are kept.
    """
    choice = equal_share_choice(options)
    try:
        plan_s = mean_cost(options, choice, allocate(options, choice)) * options.n_users
    except ChoiceInfeasible:
        return options
    alone = alone_cost(options)
    least = np.minimum.reduceat(alone, options.start[:-1])
    with_it = alone - least[options.user] + least.sum()
    return options.select_rows(with_it <= plan_s * (1 + 1e-9))


def equal_share_choice(options: Options) -> Index:
    """Each user's best option at equal shares, whether it keeps its limits or not.

    Parameters
    ----------
    options
        What the users choose from.

    Returns
    -------
    array
        (N,) a row of the options for each user.
    """
    return cheapest_options(options, equal_share_cost(without_limits(as_options(options))))


def without_limits(options: Options) -> Options:
    """The same options without deadlines and upload limits: every choice has an allocation."""
    free = np.full(len(options), np.inf)
    return replace(options, deadline_s=free, uplink_limit_s=free)


def first_prices(options: Options) -> Array:
    """(3, S) prices of the equal-share choice without its limits; 0 for a pool it does not use."""
    return allocate(without_limits(options), equal_share_choice(options)).prices

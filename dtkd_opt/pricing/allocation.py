"""The continuous subproblem: the best shares for a fixed choice, exact to 1e-9.

Minimise Σ T_n over uplink, downlink and CPU shares of each server within its pools, deadlines and
upload limits. Without limits the pools separate: downlink and CPU are closed forms, √need of each
user over the sum of all, and the uplink is one scalar root per server. Servers with limits are
left to :mod:`dtkd_opt.pricing.constrained_allocation`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dtkd_opt.errors import DtkdError, InputError
from dtkd_opt.pricing import uplink
from dtkd_opt.pricing.constrained_allocation import Conflict, solve_server
from dtkd_opt.problem.options import Options, as_options, pool_delays
from dtkd_opt.records.arrays import Array, Index, as_positions
from dtkd_opt.records.validation import counted

_MAX_STEPS = 100
_TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class Allocation:
    """Optimal shares for one choice."""

    shares: Array  # (3, N): uplink [Hz], downlink [Hz], server CPU [cycles/s]
    prices: Array  # (3, S) [s per Hz, s per Hz, s per cycle/s], 0 for a pool nobody uses
    delay: Array  # (N,) [s]
    weight: Array  # (N,) 1 + multiplier of the deadline


class ChoiceInfeasible(DtkdError):
    """No shares exist for this choice; `conflicts` proves it, one entry per overloaded server."""

    exit_code = 3

    def __init__(self, conflicts: list[Conflict]):
        self.conflicts = conflicts
        servers = counted(len(conflicts), "servers")
        super().__init__(f"the limits of the users of {servers} cannot be kept")


def allocate(options: Options, choice: Index) -> Allocation:
    """Optimal shares when user n takes option ``choice[n]``.

    Parameters
    ----------
    options
        The options of an instance.
    choice
        (N,) row of the options for each user, or for some of them: the others ask for nothing.

    Returns
    -------
    Allocation
        Shares that fill every used pool, the pools' prices and each user's delay.

    Raises
    ------
    ChoiceInfeasible
        When limits cannot be kept; names the users, the server and the pool.
    InputError
        When the choice has two options of a user, or rows that there are not.
    """
    choice = as_positions(choice, "choice", len(as_options(options)), None)
    if np.bincount(options.user[choice]).max(initial=0) > 1:
        raise InputError("choice", ["must not have two options of a user"])
    chosen = options.select_rows(choice)
    shares, prices = _without_limits(chosen)
    weight = np.ones(len(chosen))
    conflicts: list[Conflict] = []
    for s in np.unique(chosen.server[chosen.constrained_rows]):
        rows = np.flatnonzero(chosen.server == s)
        solved = solve_server(chosen.select_rows(rows), s, rows)
        if isinstance(solved, Conflict):
            conflicts.append(solved)
            continue
        prices[:, s], response = solved
        shares[:, rows] = _filled(response.shares, np.zeros_like(rows), options.capacity[:, [s]])
        weight[rows] = response.weight
    if conflicts:
        raise ChoiceInfeasible(conflicts)
    delay = chosen.device_delay_s + pool_delays(chosen, shares).sum(axis=0)
    return Allocation(shares, prices, delay, weight)


def mean_cost(options: Options, choice: Index, allocation: Allocation) -> float:
    """J [s] of a choice with its allocation."""
    return float(np.mean(allocation.delay + options.error_cost_s[choice]))


def _without_limits(chosen: Options) -> tuple[Array, Array]:
    """Shares (3, N) and prices (3, S) of a choice if it had no limits."""
    servers, prices = chosen.server, np.zeros_like(chosen.capacity)
    shares = np.zeros((3, len(chosen)))
    shares[0], prices[0] = _uplink_shares(chosen)
    for p, need in ((1, chosen.downlink_work), (2, chosen.server_cycles)):
        root = np.sqrt(need)
        total = np.bincount(servers, root, minlength=chosen.n_servers)
        per_root = chosen.capacity[p] / np.where(total > 0, total, np.inf)
        shares[p] = root * per_root[servers]
        prices[p] = (total / chosen.capacity[p]) ** 2
    return _filled(shares, servers, chosen.capacity), prices


def _uplink_shares(chosen: Options) -> tuple[Array, Array]:
    """Uplink shares (N,) and prices (S,): Newton's method on log demand = log band in log price.

    Between slopes of -1 and -1/2 the steps converge from anywhere.
    """
    rows = np.flatnonzero(chosen.uplink_bits > 0)
    share, price = np.zeros(len(chosen)), np.zeros(chosen.n_servers)
    if not len(rows):
        return share, price
    used, server = np.unique(chosen.server[rows], return_inverse=True)
    snr, bits = chosen.uplink_snr_hz[rows], chosen.uplink_bits[rows]
    log_a, band = 2 * np.log(snr) - np.log(bits), chosen.capacity[0, used]
    # as if delays were bits / share, the closed form of the other pools
    log_price = 2 * np.log(np.bincount(server, np.sqrt(bits)) / band)
    for _ in range(_MAX_STEPS):
        log_z, slope = uplink.priced_minimiser(log_price[server] + log_a)
        demand_hz = snr * np.exp(log_z)
        demand = np.bincount(server, demand_hz)
        error = np.log(demand / band)
        if np.abs(error).max() <= _TOLERANCE:
            break
        log_price -= error * demand / np.bincount(server, demand_hz * slope)
    else:
        raise ArithmeticError(f"allocation: an uplink stopped {np.abs(error).max():.1e} off")
    share[rows], price[used] = demand_hz, np.exp(log_price)
    return share, price


def _filled(shares: Array, server: Index, capacity: Array) -> Array:
    """Shares scaled so that each used pool is full: rounding may leave it over- or underrun."""
    total = np.array([np.bincount(server, x, minlength=capacity.shape[1]) for x in shares])
    factor = np.where(total > 0, capacity / np.where(total > 0, total, 1.0), 1.0)
    return shares * factor[:, server]

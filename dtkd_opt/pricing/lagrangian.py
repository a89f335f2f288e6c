"""Lagrangian prices of the pools: a lower bound on J for any prices.

Relaxing the 3|S| pools with prices λ ≥ 0 separates the users:

    N · J ≥ L(λ) = Σ_n min_k [ T_k + ρ (1 - a_k) + λ · x_k ] - λ · C

What an option buys without a binding deadline is a closed form but for its upload, which is the
same for all students of a user at a server: it is computed once for each such group of options.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dtkd_opt.errors import InputError
from dtkd_opt.pricing import uplink
from dtkd_opt.pricing.equal_shares import argmax_by_user
from dtkd_opt.pricing.response import Response, min_upload_log_shares, respond
from dtkd_opt.problem.options import Options, as_options
from dtkd_opt.records.arrays import Array, Index, as_numbers

_ROUNDING = 1e-13  # relative: hundreds of units in the last place
BLOCK = 100_000  # options priced at a time: what fits a processor's cache


@dataclass(frozen=True, eq=False)
class DualPoint:
    """The Lagrangian at one set of prices."""

    options: Options  # what the users choose from
    prices: Array  # (3, S) [s per Hz, s per Hz, s per cycle/s]
    value: float  # L(λ) [s], a lower bound on N · J
    demand: Array  # (3, S) what the users' cheapest options buy
    choice: Index  # (N,) each user's cheapest option
    cost: Array  # (K,) T_k + ρ (1 - a_k) + λ · x_k [s]

    @property
    def gradient(self) -> Array:
        """(3, S) dL / d(λ C): (demand - C) / C."""
        return (self.demand - self.options.capacity) / self.options.capacity

    @cached_property
    def reduced_cost(self) -> Array:
        """(K,) cost above the user's cheapest option [s]."""
        reduced: Array = self.cost - np.repeat(self.cost[self.choice], np.diff(self.options.start))
        return reduced

    @cached_property
    def response(self) -> Response:
        """What each option buys, computed one by one: slower than the groups of `Lagrangian`."""
        return respond(self.options, self.prices)


def price(options: Options, prices: Array) -> DualPoint:
    """Lagrangian value, demand, choice and costs at some prices.

    Parameters
    ----------
    options
        What the users choose from.
    prices
        (3, S) positive ones of the pools.

    Returns
    -------
    DualPoint
        With a lower bound on N · J.

    Raises
    ------
    InputError
        When the prices are of another shape, or one is not positive.
    """
    given = as_numbers(prices, "prices", 3, as_options(options).n_servers)
    if not (np.isfinite(given) & (given > 0)).all():
        raise InputError("prices", ["must be positive and finite, each of them"])
    return Lagrangian(options).at(given)


class Lagrangian:
    """L as a function of the prices, for given options."""

    def __init__(self, options: Options):
        self.options = options
        self._blocks = [_Block(options, users) for users in _user_slices(options)]

    def at(self, prices: Array) -> DualPoint:
        """L and what comes with it at positive prices of shape (3, S)."""
        options = self.options
        cost, choice = np.empty(len(options)), np.empty(options.n_users, np.int64)
        cheapest, demand = np.empty(options.n_users), np.zeros_like(options.capacity)
        for block in self._blocks:
            cost[block.rows], cheapest[block.users], choice[block.users], bought = block.at(prices)
            demand += bought
        total, worth = float(cheapest.sum()), float((prices * options.capacity).sum())
        # high prices cancel against the pools' worth: what rounding may add is taken off the bound
        value = total - worth - _ROUNDING * (abs(total) + worth)
        return DualPoint(options, prices, value, demand, choice, cost)

    def screen(self, low: Array, high: Array) -> Index:
        """Rows of the options that may be a user's cheapest at some prices from low to high."""
        return np.concatenate(
            [block.screen(low, high) + block.rows.start for block in self._blocks]
        )


def _user_slices(options: Options) -> list[slice]:
    """Slices of whole users with about `BLOCK` options each."""
    ends = np.arange(BLOCK, len(options) + BLOCK, BLOCK)
    cuts = np.unique(np.minimum(np.searchsorted(options.start, ends), options.n_users))
    return [slice(int(a), int(b)) for a, b in zip(np.append(0, cuts[:-1]), cuts, strict=True)]


class _Block:
    """The options of some users, with what the prices do not change."""

    def __init__(self, options: Options, users: slice):
        self.users = users
        self.rows = slice(int(options.start[users.start]), int(options.start[users.stop]))
        own = options if self.rows == slice(0, len(options)) else options.slice_users(users)
        self.options = own
        self.fixed = own.device_delay_s + own.error_cost_s
        self.roots = np.sqrt(np.array([own.downlink_work, own.server_cycles]))
        self._group_uploads()
        self.timed = np.flatnonzero(np.isfinite(own.deadline_s) & (own.needs.sum(axis=0) > 0))

    def _group_uploads(self) -> None:
        """Runs of options with the same upload: a user's students at one place and server."""
        own = self.options
        keys = (own.user, own.server, own.uplink_bits, own.uplink_snr_hz, own.uplink_limit_s)
        new = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
        first = np.append(0, np.flatnonzero(new) + 1)
        self.group_sizes = np.diff(np.append(first, len(own)))
        self.group_server = own.server[first]
        bits, snr = own.uplink_bits[first], own.uplink_snr_hz[first]
        self.uploads = np.flatnonzero(bits > 0)
        bits, snr = bits[self.uploads], snr[self.uploads]
        self.snr_hz, self.unit_s = snr, bits / snr
        self.log_a = 2 * np.log(snr) - np.log(bits)
        self.min_log_z = min_upload_log_shares(own, first[self.uploads])

    def at(self, prices: Array) -> tuple[Array, Array, Index, Array]:
        """Costs (K,), users' minima (N,), rows of the cheapest (N,), and their demand (3, S)."""
        own = self.options
        log_z, upload = self._price_uploads(prices)
        root_price = np.sqrt(prices[1:])[:, own.server]
        pools = self.roots * root_price  # delay in downlink and CPU, and what their shares cost
        rest = pools.sum(axis=0)
        cost = self.fixed + np.repeat(upload.sum(axis=0), self.group_sizes) + 2 * rest
        cost *= 1 - 2 * _ROUNDING
        late = self._late(np.repeat(upload[0], self.group_sizes), rest)
        constrained = respond(own.select_rows(late), prices) if len(late) else None
        if constrained is not None:
            size = (
                constrained.cost + constrained.weight * constrained.delay + own.error_cost_s[late]
            )
            cost[late] = constrained.cost + own.error_cost_s[late] - _ROUNDING * size
        choice = argmax_by_user(-cost, own.start)
        shares = self._shares(choice, log_z, pools, prices)
        if constrained is not None:
            position = np.searchsorted(late, choice)
            users = np.flatnonzero(late[np.minimum(position, len(late) - 1)] == choice)
            shares[:, users] = constrained.shares[:, position[users]]
        demand = [np.bincount(own.server[choice], x, minlength=own.n_servers) for x in shares]
        return cost, cost[choice], choice + self.rows.start, np.array(demand)

    def screen(self, low: Array, high: Array) -> Index:
        """Rows whose cost may fall below that of their user's cheapest at the mean prices.

        Variable screening over a box of prices. Costs only rise with each price. Of two options of
        one server the pools' costs differ by (√need - √need') 2 √λ, smallest at one end of the box,
        and their uploads not at all when they are the same; that makes the comparison tight.
        """
        own = self.options
        choice = self.at((low + high) / 2)[2] - self.rows.start
        cheapest = np.repeat(choice, np.diff(own.start))
        min_difference = self.fixed - self.fixed[cheapest]
        for p in range(2):
            change = 2 * (self.roots[p] - self.roots[p, cheapest])
            ends = np.sqrt([low[1 + p], high[1 + p]])[:, own.server]
            min_difference += np.minimum(ends[0] * change, ends[1] * change)
        group = np.repeat(np.arange(len(self.group_sizes)), self.group_sizes)
        other = np.flatnonzero(group != group[cheapest])
        upload_low, upload_high = (self._price_uploads(p)[1].sum(axis=0) for p in (low, high))
        min_difference[other] += upload_low[group[other]] - upload_high[group[cheapest[other]]]
        no_closed_form = np.zeros(len(own), bool)
        no_closed_form[self.timed] = True
        no_closed_form |= no_closed_form[cheapest]
        no_closed_form |= own.server != own.server[cheapest]
        if no_closed_form.any():
            difference = self.at(low)[0] - self.at(high)[0][cheapest]
            min_difference[no_closed_form] = difference[no_closed_form]
        return np.asarray(np.flatnonzero(min_difference <= 1e-12 * np.abs(self.fixed)))

    def _price_uploads(self, prices: Array) -> tuple[Array, Array]:
        """Uploads' log(b / γ), and (2, groups) delay and what its share costs [s]."""
        server = self.group_server[self.uploads]
        log_c = np.log(prices[0])[server] + self.log_a
        log_z = np.maximum(uplink.interpolated_minimiser(log_c), self.min_log_z)
        upload = np.zeros((2, len(self.group_sizes)))
        upload[0, self.uploads] = self.unit_s * uplink.phi(log_z)
        upload[1, self.uploads] = prices[0][server] * (self.snr_hz * np.exp(log_z))
        return log_z, upload

    def _late(self, upload: Array, rest: Array) -> Index:
        """Options that miss their deadline where delay has no weight but its own."""
        own, timed = self.options, self.timed
        delay = own.device_delay_s[timed] + upload[timed] + rest[timed]
        return np.asarray(timed[delay > own.deadline_s[timed]])

    def _shares(self, choice: Index, log_z: Array, pools: Array, prices: Array) -> Array:
        """(3, N) what the users' cheapest options buy where no deadline binds."""
        own = self.options
        group = np.searchsorted(np.cumsum(self.group_sizes), choice, side="right")
        z = np.zeros(len(self.group_sizes))
        z[self.uploads] = np.exp(log_z)
        price = prices[1:, own.server[choice]]
        return np.array([own.uplink_snr_hz[choice] * z[group], *(pools[:, choice] / price)])


@dataclass(frozen=True, eq=False)
class InfeasibilityProof:
    """Proof that no choice keeps the limits: users' minimum costs, with the pools worth one."""

    cost: Array  # (N,) sums to more than 1
    value: Array  # (3, S) worth of each pool, sums to 1


def find_infeasibility_proof(options: Options, prices: Array) -> InfeasibilityProof | None:
    """A proof, from any positive prices of shape (3, S), that an instance is infeasible, or None.

    Whatever user n chooses, shares that keep its limits cost at least the minimum over its options;
    if these minima sum to more than the pools are worth, no plan exists (weak duality).
    """
    value = prices * options.capacity
    min_cost = respond(options, prices, min_cost=True).cost
    cost = np.minimum.reduceat(min_cost, options.start[:-1])
    if cost.sum() <= value.sum() * (1 + 1e-12):
        return None
    return InfeasibilityProof(cost / value.sum(), value / value.sum())

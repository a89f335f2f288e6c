"""Local search: one or two users take other options, judged by the pools' prices.

Around a choice with its optimal prices λ, let y be what a move adds to the demand of each pool and
D = -d demand / dλ there. The choice's best total then changes by

    Δ = Σ_moves (c_k(λ) - c_k'(λ)) + ½ Σ_pools y² / D

exactly in downlink and CPU without limits, to second order elsewhere. Pairs of users differ from
the sum of two by the products of their y: a matrix of all pairs of the best candidates.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dtkd_opt.methods.search import Search
from dtkd_opt.pricing.allocation import Allocation, ChoiceInfeasible, allocate, mean_cost
from dtkd_opt.pricing.response import respond
from dtkd_opt.problem.options import Options, pool_delays
from dtkd_opt.records.arrays import Array, Index

_CANDIDATES = 400  # options that pairs are made of
_TRIALS = 4  # moves that are allocated exactly before a round gives up
_ROUNDS = 200


def improve(search: Search, allocated: tuple[Index, Allocation] | None = None) -> None:
    """Exchange options of one or two users until no such move is better.

    It starts from a choice and its allocation, by default the incumbent's. TimeIsUp at the search's
    time limit; better plans met before are kept.
    """
    if search.incumbent is None:
        return
    if allocated is None:
        search.begin_phase("exchanges")
        choice, prices = search.incumbent.choice, search.incumbent.prices
        best = search.objective
    else:
        choice, prices = allocated[0], allocated[1].prices
        best = mean_cost(search.options, choice, allocated[1])
    for _ in range(_ROUNDS):
        search.check_time()
        if (better := _first_better(search.options, choice, prices, best)) is None:
            break
        choice, allocation, best = better
        prices = allocation.prices
        if best < search.objective:
            search.try_incumbent_plan(choice, allocation.shares, prices)


def _first_better(
    options: Options, choice: Index, prices: Array, best: float
) -> tuple[Index, Allocation, float] | None:
    """The first of the moves predicted to be best that is better when allocated exactly."""
    for move in _moves(options, choice, prices):
        moved = choice.copy()
        moved[options.user[move]] = move
        try:
            allocation = allocate(options, moved)
        except ChoiceInfeasible:
            continue
        value = mean_cost(options, moved, allocation)
        if value < best * (1 - 1e-13):
            return moved, allocation, value
    return None


def _moves(options: Options, choice: Index, prices: Array) -> Iterator[Index]:
    """Sets of one or two options predicted to be better, best first."""
    positive = np.where(prices > 0, prices, _positive_prices(options, prices))
    response = respond(options, positive)
    cost, shares = _costs(options, prices, response.shares)
    change = cost - np.repeat(cost[choice], np.diff(options.start))
    candidates = _cheapest(change, choice, _CANDIDATES)
    if not len(candidates):
        return
    demand = _demand_changes(options, choice, candidates, shares)
    sensitivity = _price_sensitivity(options, choice, prices, shares, response.elasticity)
    scaled = demand / np.sqrt(sensitivity)
    pairs = scaled @ scaled.T
    single = change[candidates] + np.diag(pairs) / 2
    pairs += single[:, None] + single[None, :]
    user = options.user[candidates]
    pairs[user[:, None] == user[None, :]] = np.inf
    np.fill_diagonal(pairs, single)  # one user moves, not two
    for place in np.argsort(pairs, axis=None)[: 2 * _TRIALS : 2]:
        i, j = np.unravel_index(place, pairs.shape)
        if pairs[i, j] < 0:
            yield candidates[np.unique([i, j])]
    # where limits hold the shares of many, the second order predicts badly: prices only
    for row in candidates[np.argsort(change[candidates], kind="stable")][:_TRIALS]:
        if change[row] < 0:
            yield np.array([row])


def _costs(options: Options, prices: Array, shares: Array) -> tuple[Array, Array]:
    """Costs (K,) of all options, and the shares (3, K) that are paid for; a pool that nobody
    uses is free, and a single user gets all of it."""
    price = prices[:, options.server]
    charged = np.where(price > 0, shares, 0.0)
    used = np.where(price > 0, shares, options.capacity[:, options.server])
    delay = options.device_delay_s + pool_delays(options, used).sum(axis=0)
    return delay + options.error_cost_s + (price * charged).sum(axis=0), charged


def _cheapest(change: Array, choice: Index, count: int) -> Index:
    """Rows of the options, other than the chosen, with the smallest change of cost."""
    change = change.copy()
    change[choice] = np.inf
    count = min(count, int(np.isfinite(change).sum()))
    return np.asarray(np.argpartition(change, max(count - 1, 0))[:count])


def _demand_changes(options: Options, choice: Index, candidates: Index, shares: Array) -> Array:
    """(M, 3 S) what each candidate adds to the pools' demand, its user's old option gone."""
    demand = np.zeros((len(candidates), 3, options.n_servers))
    numbers, old = np.arange(len(candidates)), choice[options.user[candidates]]
    demand[numbers, :, options.server[candidates]] += shares[:, candidates].T
    demand[numbers, :, options.server[old]] -= shares[:, old].T
    return demand.reshape(len(candidates), -1)


def _price_sensitivity(
    options: Options, choice: Index, prices: Array, shares: Array, elasticity: Array
) -> Array:
    """(3 S,) D: how fast the choice's demand falls with each price."""
    fall = -(shares * elasticity)[:, choice]
    total = [np.bincount(options.server[choice], x, minlength=options.n_servers) for x in fall]
    floor = 1e-3 * options.capacity  # of pools that limits hold
    with np.errstate(divide="ignore"):
        sensitivity: Array = (np.maximum(np.array(total), floor) / np.maximum(prices, 0.0)).ravel()
    return sensitivity


def _positive_prices(options: Options, prices: Array) -> Array:
    """Positive prices for pools that nobody uses, of the order of the others."""
    used = prices > 0
    mean_value = float((prices * options.capacity)[used].mean()) if used.any() else 1.0
    return mean_value / options.capacity

"""The game that `dqn` plays: users choose options round after round and pay the pools' prices.

The state is a choice of all users; its best allocation has prices λ of the pools. In each round
some users, drawn at random, may take another of their options, all at the same time. What user n
adds to N · J with option k while the others stay as they are (:func:`contributions`) is its cost in
this game: a user who lowers its own lowers J by as much (a potential game: Monderer and Shapley,
1996; the "wonderful life utility" of Wolpert and Tumer, "Optimal payoff functions for members of
collectives", 2001). Its reward is how much more it adds, after the round, than it would with its
best option: a baseline that depends on the others only (as in Foerster et al., "Counterfactual
multi-agent policy gradients", 2018), and zero for all where nobody can do better alone.

What a user knows of an option are features without units. All costs are relative to the user's
scale, its least priced cost at equal shares, and loads to their pools: what is learned of a few
users holds for many, and for any number of options and servers. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.pricing.allocation import Allocation, ChoiceInfeasible, allocate
from dtkd_opt.pricing.equal_shares import (
    argmax_by_user,
    cheapest_options,
    equal_share_choice,
    first_prices,
)
from dtkd_opt.pricing.response import free_shares, respond
from dtkd_opt.problem.options import Options, pool_delays
from dtkd_opt.problem.physics import Array, Index

FEATURES = (
    "device",  # delay of the device's own work
    "error",  # ρ (1 - a)
    "uplink",  # delay and payment at the prices, in each pool
    "downlink",
    "cpu",
    "reduced",  # cost above the user's cheapest option
    "regret",  # the same of the user's current option
    "current",  # 1 if the user has this option now, else 0
    "own",  # tenths: payment times the part of the pool that it buys
    "vacated",  # tenths: payment times the part of the same pool that the current option buys
    "rise",  # payment times the last relative change of the price
    "limited",  # 1 if the option has a deadline or an upload limit, else 0
)
VERSION = 1  # of the features: a network knows only those that it was trained with
PENALTY = 1.0  # in the user's scale: for a move that leaves a server unable to keep its limits
WORST = 1.0  # in the user's scale: what costs more, or gains less, counts as this

_BLOCK = 2**15  # options looked at together: what fits a processor's cache
_FREE = 1e-200  # a price of pools nobody uses, so low that whoever comes buys the whole pool

Allocate = Callable[[Index], Allocation]


@dataclass(frozen=True, eq=False)
class State:
    """A choice of all users, and what its allocation tells."""

    options: Options
    scale: Array  # (N,) the unit of each user's costs [s]
    choice: Index  # (N,) rows of the table
    prices: Array  # (3, S) [s per Hz, s per Hz, s per cycle/s]
    rise: Array  # (3, S) logarithm of the prices over those a round ago, within ±1


@dataclass(frozen=True, eq=False)
class Priced:
    """What options buy at the prices, at most the whole pools."""

    delay: Array  # (3, K) in each pool [s]
    payment: Array  # (3, K) λ · share [s]
    part: Array  # (3, K) of the pool, in [0, 1]
    cost: Array  # (K,) T + ρ (1 - a) + λ · x [s]


def price_options(options: Options, prices: Array) -> Priced:
    """The best shares of each option at prices of shape (3, S), cut to the size of the pools."""
    capacity = options.capacity[:, options.server]
    price = np.maximum(prices, _FREE)
    shares = free_shares(options, price)
    limited = _limited(options)
    if limited.any():  # closed forms know of no limits
        shares[:, limited] = respond(options.select_rows(limited), price).shares
    shares = np.minimum(shares, capacity)
    delay, payment = pool_delays(options, shares), prices[:, options.server] * shares
    cost = options.device_delay_s + options.error_cost_s + (delay + payment).sum(axis=0)
    return Priced(delay, payment, shares / capacity, cost)


def first_choices(options: Options) -> Iterator[Index]:
    """Choices to begin with: the best at equal shares; with limits, also what keeps them cheapest.

    Either may still break limits when it is allocated.
    """
    yield equal_share_choice(options)
    if options.constrained:
        prices = first_prices(options)
        mean = float((prices * options.capacity).mean()) or 1.0
        prices = np.where(prices > 0, prices, mean / options.capacity)
        yield cheapest_options(options, respond(options, prices, min_cost=True).cost)


def _limited(options: Options) -> NDArray[np.bool_]:
    limited: NDArray[np.bool_] = np.isfinite(options.deadline_s) | np.isfinite(
        options.uplink_limit_s
    )
    return limited


def begin(options: Options, choice: Index, prices: Array) -> State:
    """The state at the start: a choice and the prices of its allocation."""
    usual = first_prices(options)
    least = [
        np.minimum.reduceat(price_options(part, usual).cost, part.start[:-1])
        for part in map(options.select_users, _blocks(options, np.arange(options.n_users)))
    ]
    return State(options, np.concatenate(least), choice, prices, np.zeros_like(prices))


def begin_with(options: Options, choices: Iterable[Index]) -> State | None:
    """The state of the first of some choices that keeps its limits; None if none does."""
    for choice in choices:
        with suppress(ChoiceInfeasible):
            return begin(options, choice, allocate(options, choice).prices)
    return None


def features(state: State, users: Index) -> tuple[Options, NDArray[np.float32]]:
    """What some users know of each of their options.

    Parameters
    ----------
    state
        The choice and prices of now.
    users
        (M,) users, sorted.

    Returns
    -------
    tuple
        The table of these users' options, numbered from 0, and their features (K, F) in the order
        of :data:`FEATURES`.
    """
    part = state.options.select_users(users)
    priced = price_options(part, state.prices)
    sizes = np.diff(part.start)
    current = state.choice[users] - state.options.start[users] + part.start[:-1]
    now, scale = np.repeat(current, sizes), np.repeat(state.scale[users], sizes)
    least = np.repeat(np.minimum.reduceat(priced.cost, part.start[:-1]), sizes)
    here = part.server == part.server[now]
    columns = [
        part.device_delay_s,
        part.error_cost_s,
        *(priced.delay + priced.payment),
        priced.cost - least,
        priced.cost[now] - least,
        (np.arange(len(part)) == now) * scale,
        10 * (priced.payment * priced.part).sum(axis=0),
        10 * here * (priced.payment * priced.part[:, now]).sum(axis=0),
        (priced.payment * state.rise[:, part.server]).sum(axis=0),
        _limited(part) * scale,
    ]
    known = np.stack([column / scale for column in columns], axis=1)
    return part, np.clip(known, -WORST, WORST).astype(np.float32)


def wishes(state: State, movers: Index, value: Callable[[NDArray[np.float32]], Array]) -> Index:
    """(N,) the choice if each of the movers takes its option of greatest value.

    `value` gives (K,) values of (K, F) features; it is asked block after block of users.
    """
    wanted = state.choice.copy()
    for users in _blocks(state.options, movers):
        part, known = features(state, users)
        best = argmax_by_user(value(known), part.start)
        wanted[users] = state.options.start[users] + best - part.start[:-1]
    return wanted


def move(state: State, wanted: Index, allocate: Allocate) -> State:
    """The state after all users take what they want at the same time.

    Where a server cannot keep its users' limits then, those who moved among the users that prove
    it go back to what they had.

    Parameters
    ----------
    state
        Its choice can be allocated.
    wanted
        (N,) rows of the table.
    allocate
        Gives the best allocation of a choice, or raises ChoiceInfeasible.
    """
    choice, prices = _settle(state, wanted, allocate)
    used = (state.prices > 0) & (prices > 0)
    ratio = np.divide(prices, state.prices, where=used, out=np.ones_like(prices))
    rise = np.clip(np.log(ratio), -1.0, 1.0)
    return State(state.options, state.scale, choice, prices, rise)


def rewards(state: State, wanted: Index) -> Array:
    """(N,) what users get who wanted some options and so came into a state: at most 0.

    How much less a user would add to N · J with its best option, in its scale, and
    :data:`PENALTY` if it could not have what it wanted.
    """
    added = contributions(state.options, price_options(state.options, state.prices), state.choice)
    least = np.minimum.reduceat(added, state.options.start[:-1])
    lost = (added[state.choice] - least) / state.scale
    reward: Array = -np.minimum(lost + PENALTY * (wanted != state.choice), WORST)
    return reward


def _settle(state: State, wanted: Index, allocate: Allocate) -> tuple[Index, Array]:
    """The choice that remains of what is wanted, and its prices."""
    choice = wanted
    while True:
        try:
            return choice, allocate(choice).prices
        except ChoiceInfeasible as error:
            moved = choice != state.choice
            if not moved.any():
                raise
            blamed = np.zeros_like(moved)
            for conflict in error.conflicts:
                blamed[conflict.users] = moved[conflict.users]
            choice = np.where(blamed if blamed.any() else moved, state.choice, choice)


def contributions(options: Options, priced: Priced, choice: Index) -> Array:
    """(K,) seconds that users add to N · J = Σ T + ρ (1 - a), each option instead of `choice`.

    With x the shares that an option buys of pools C and y the user's present ones there,

        device delay + error cost + Σ 2 λ x (1 - y / C) + λ x (x / C):

    for downlink and CPU, where a user's delay is λ x and all wait (Σ √need)² / C, this is exactly
    the difference that the user makes; for the uplink nearly so.
    """
    now = np.repeat(choice, np.diff(options.start))
    here = options.server == options.server[now]
    change = (priced.payment * (priced.part - 2 * here * priced.part[:, now])).sum(axis=0)
    added: Array = priced.cost + change
    return added


def _blocks(options: Options, users: Index) -> Iterator[Index]:
    """Sorted users, so many at a time that they have about `_BLOCK` options."""
    ends = np.cumsum(np.diff(options.start)[users])
    cuts = np.searchsorted(ends, np.arange(_BLOCK, ends[-1] if len(ends) else 0, _BLOCK))
    yield from (block for block in np.split(users, cuts) if len(block))

"""The congestion game that `dqn` plays: in each round users choose options and pay for the pools.

The state is a choice of all users; its best allocation has prices λ of the pools. In each round
some users, the active agents, may take another of their options, all at the same time. The cost of
user n in this game is its marginal cost, what it adds to N · J while the others stay as they are
(:func:`marginal_costs`): a user who lowers its own lowers J by as much (a potential game: Monderer
and Shapley, 1996; the "wonderful life utility" of Wolpert and Tumer, "Optimal payoff functions for
members of collectives", 2001). Its reward is minus the regret: how much more it adds, after the
round, than it would with its best option. This baseline depends on the others only (as in Foerster
et al., "Counterfactual multi-agent policy gradients", 2018), and all rewards are zero where nobody
can gain by a change of its own.

A user observes features without units of each option. All costs are relative to the user's scale,
its least priced cost at equal shares, and loads to their pools: what is learned with few users
holds for many, and for any number of options and servers. Nothing here needs torch.

Shapes: N users, M of them, K options, S servers, F features; 3 pools a server.
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
from dtkd_opt.records.arrays import Array, Index

FEATURES = (
    "device",  # delay of the device's own work
    "error",  # ρ (1 - a)
    "uplink",  # delay and payment at the prices, in each pool
    "downlink",
    "cpu",
    "reduced_cost",  # cost above the user's cheapest option
    "regret",  # the same of the user's current option
    "current",  # 1 if the user has this option now, else 0
    "own_load",  # tenths: payment times the fraction of the pool that it buys
    "freed_load",  # tenths: payment times the fraction that the current option buys there
    "price_change",  # payment times the last relative change of the price
    "constrained",  # 1 if the option has a deadline or an upload limit, else 0
)
FEATURES_VERSION = 1  # a network knows only the features that it was trained with
INFEASIBLE_PENALTY = 1.0  # in the user's scale: for an action that breaks a server's limits
CLIP = 1.0  # in the user's scale: features and regrets beyond count as this

_BLOCK_OPTIONS = 2**15  # evaluated together: what fits a processor's cache
_UNUSED_PRICE = 1e-200  # of pools nobody uses, so low that whoever comes buys the whole pool

Features = NDArray[np.float32]
Allocate = Callable[[Index], Allocation]
QValues = Callable[[Features], Array]  # (K, F) features → (K,) values


@dataclass(frozen=True, eq=False)
class GameState:
    """A choice of all users, and the prices of its allocation."""

    options: Options
    scale_s: Array  # (N,) the unit of each user's costs [s]
    choice: Index  # (N,) rows of the options
    prices: Array  # (3, S) [s per Hz, s per Hz, s per cycle/s]
    price_change: Array  # (3, S) logarithm of the prices over those a round ago, within ±1


@dataclass(frozen=True, eq=False)
class PricedOptions:
    """What options buy at the prices, at most the whole pools."""

    delay_s: Array  # (3, K) in each pool
    payment_s: Array  # (3, K) λ · share
    fraction: Array  # (3, K) of the pool, in [0, 1]
    cost_s: Array  # (K,) T + ρ (1 - a) + λ · x


def price_options(options: Options, prices: Array) -> PricedOptions:
    """The best shares of each option at prices (3, S), at most the size of the pools."""
    capacity = options.capacity[:, options.server]
    price = np.maximum(prices, _UNUSED_PRICE)
    shares = free_shares(options, price)
    if (constrained := options.constrained_rows).any():  # closed forms know of no limits
        shares[:, constrained] = respond(options.select_rows(constrained), price).shares
    shares = np.minimum(shares, capacity)
    delay, payment = pool_delays(options, shares), prices[:, options.server] * shares
    cost = options.device_delay_s + options.error_cost_s + (delay + payment).sum(axis=0)
    return PricedOptions(delay, payment, shares / capacity, cost)


def initial_choices(options: Options) -> Iterator[Index]:
    """(N,) the best options at equal shares; with limits, also those that keep them cheapest.

    Either may still break limits when it is allocated.
    """
    yield equal_share_choice(options)
    if options.constrained:
        prices = first_prices(options)
        mean = float((prices * options.capacity).mean()) or 1.0
        prices = np.where(prices > 0, prices, mean / options.capacity)
        yield cheapest_options(options, respond(options, prices, min_cost=True).cost)


def reset(options: Options, choice: Index, prices: Array) -> GameState:
    """The state at the start: a choice and the prices of its allocation."""
    reference = first_prices(options)
    scale_s = [
        np.minimum.reduceat(price_options(block, reference).cost_s, block.start[:-1])
        for block in map(options.select_users, _blocks(options, np.arange(options.n_users)))
    ]
    return GameState(options, np.concatenate(scale_s), choice, prices, np.zeros_like(prices))


def reset_feasible(options: Options, choices: Iterable[Index]) -> GameState | None:
    """The state of the first of some choices that keeps its limits; None if none does."""
    for choice in choices:
        with suppress(ChoiceInfeasible):
            return reset(options, choice, allocate(options, choice).prices)
    return None


def observe(state: GameState, users: Index) -> tuple[Options, Features]:
    """What some users, (M,) sorted, observe of each of their options.

    Returns their options, users numbered from 0, and features (K, F) in the order of
    :data:`FEATURES`.
    """
    own = state.options.select_users(users)
    priced = price_options(own, state.prices)
    sizes = np.diff(own.start)
    current = state.choice[users] - state.options.start[users] + own.start[:-1]
    now, scale = np.repeat(current, sizes), np.repeat(state.scale_s[users], sizes)
    min_cost = np.repeat(np.minimum.reduceat(priced.cost_s, own.start[:-1]), sizes)
    same_server = own.server == own.server[now]
    columns = [
        own.device_delay_s,
        own.error_cost_s,
        *(priced.delay_s + priced.payment_s),
        priced.cost_s - min_cost,
        priced.cost_s[now] - min_cost,
        (np.arange(len(own)) == now) * scale,
        10 * (priced.payment_s * priced.fraction).sum(axis=0),
        10 * same_server * (priced.payment_s * priced.fraction[:, now]).sum(axis=0),
        (priced.payment_s * state.price_change[:, own.server]).sum(axis=0),
        own.constrained_rows * scale,
    ]
    features = np.stack([column / scale for column in columns], axis=1)
    return own, np.clip(features, -CLIP, CLIP).astype(np.float32)


def greedy_actions(state: GameState, active_agents: Index, q_values: QValues) -> Index:
    """(N,) the choice if each active agent takes its option of greatest Q.

    Evaluated block after block of users.
    """
    actions = state.choice.copy()
    for users in _blocks(state.options, active_agents):
        own, features = observe(state, users)
        best = argmax_by_user(q_values(features), own.start)
        actions[users] = state.options.start[users] + best - own.start[:-1]
    return actions


def step(state: GameState, actions: Index, allocate: Allocate) -> GameState:
    """The state after all users act at the same time: `actions` are (N,) rows of the options.

    Where a server cannot keep its users' limits then, those who changed their option among the
    users of the conflict return to their old one. `allocate` raises ChoiceInfeasible there.
    """
    choice, prices = _resolve_conflicts(state, actions, allocate)
    used = (state.prices > 0) & (prices > 0)
    ratio = np.divide(prices, state.prices, where=used, out=np.ones_like(prices))
    price_change = np.clip(np.log(ratio), -1.0, 1.0)
    return GameState(state.options, state.scale_s, choice, prices, price_change)


def rewards(state: GameState, actions: Index) -> Array:
    """(N,) in the users' scales, in [-1, 0]: minus the regret in the state that actions led to.

    The regret is how much less a user would add to N · J with its best option, and
    :data:`INFEASIBLE_PENALTY` more if its action was reverted.
    """
    priced = price_options(state.options, state.prices)
    costs = marginal_costs(state.options, priced, state.choice)
    min_cost = np.minimum.reduceat(costs, state.options.start[:-1])
    regret = (costs[state.choice] - min_cost) / state.scale_s
    reverted = actions != state.choice
    return np.asarray(-np.minimum(regret + INFEASIBLE_PENALTY * reverted, CLIP))


def _resolve_conflicts(state: GameState, actions: Index, allocate: Allocate) -> tuple[Index, Array]:
    """The choice that remains of the actions, and its prices."""
    choice = actions
    while True:
        try:
            return choice, allocate(choice).prices
        except ChoiceInfeasible as error:
            changed = choice != state.choice
            if not changed.any():
                raise
            in_conflict = np.zeros_like(changed)
            for conflict in error.conflicts:
                in_conflict[conflict.users] = changed[conflict.users]
            reverting = in_conflict if in_conflict.any() else changed
            choice = np.where(reverting, state.choice, choice)


def marginal_costs(options: Options, priced: PricedOptions, choice: Index) -> Array:
    """(K,) seconds that users add to N · J = Σ T + ρ (1 - a), each option instead of `choice`.

    With x the shares that an option buys of pools C and y the user's present ones there,

        device delay + error cost + Σ 2 λ x (1 - y / C) + λ x (x / C):

    for downlink and CPU, where a user's delay is λ x and all wait (Σ √need)² / C, this is exactly
    the difference that the user makes; for the uplink nearly so.
    """
    now = np.repeat(choice, np.diff(options.start))
    same_server = options.server == options.server[now]
    change = priced.payment_s * (priced.fraction - 2 * same_server * priced.fraction[:, now])
    return np.asarray(priced.cost_s + change.sum(axis=0))


def _blocks(options: Options, users: Index) -> Iterator[Index]:
    """Sorted users, so many at a time that they have about `_BLOCK_OPTIONS` options."""
    ends = np.cumsum(np.diff(options.start)[users])
    last = ends[-1] if len(ends) else 0
    cuts = np.searchsorted(ends, np.arange(_BLOCK_OPTIONS, last, _BLOCK_OPTIONS))
    yield from (block for block in np.split(users, cuts) if len(block))

"""Baselines: what people do without a joint optimisation.

`greedy` decides and allocates at equal shares. `all-device`, `all-server` and `random` fix where
the students train (or everything) and then get the best allocation of their choice, which makes
them stronger than they would be in the field. Their bound comes from the prices.
"""

from __future__ import annotations

import numpy as np

from dtkd_opt.methods.bounding import price_bound
from dtkd_opt.methods.search import NoPlanError, Search
from dtkd_opt.pricing.bundle import MAX_STEPS
from dtkd_opt.pricing.equal_shares import cheapest_options, equal_shares
from dtkd_opt.problem.options import Options, pool_delays
from dtkd_opt.problem.physics import Array, Index
from dtkd_opt.records.instance import DEVICE, SERVER
from dtkd_opt.records.solution import Termination


def greedy(search: Search, seed: int, params: None) -> Termination:
    """Each user takes its best option at equal shares, then users of a pool share it equally."""
    _bound(search)
    options = search.options
    cost = _equal_share_cost(options)
    choice = _complete(search, cheapest_options(options, cost), "keeps its limits at equal shares")
    users = np.array(
        [
            np.bincount(options.server[choice], need[choice] > 0, minlength=options.n_servers)
            for need in options.needs
        ]
    )
    share = options.capacity / np.maximum(users, 1)
    shares = np.where(options.needs[:, choice] > 0, share[:, options.server[choice]], 0.0)
    try:
        search.offer_plan(choice, shares, np.zeros_like(options.capacity))
    except ArithmeticError as error:
        raise NoPlanError(f"greedy: equal shares do not keep the limits: {error}") from None
    return "gap_reached" if search.proven else "heuristic_end"


def all_device(search: Search, seed: int, params: None) -> Termination:
    """Every user trains on its device; model and server are the best at equal shares."""
    return _at_place(search, DEVICE, "device")


def all_server(search: Search, seed: int, params: None) -> Termination:
    """Every user is trained at a server; model and server are the best at equal shares."""
    return _at_place(search, SERVER, "server")


def random(search: Search, seed: int, params: None) -> Termination:
    """Every user takes one of its options at random."""
    _bound(search)
    options, rng = search.options, np.random.default_rng(seed)
    size = np.diff(options.start)
    choice = options.start[:-1] + rng.integers(0, size)
    return _allocate(search, choice)


def _bound(search: Search) -> None:
    """The prices' bound; the stop rule's `iterations` are its steps."""
    price_bound(search, max_steps=search.stop.iterations or MAX_STEPS)


def _at_place(search: Search, place: int, name: str) -> Termination:
    _bound(search)
    options = search.options
    cost = np.where(options.place == place, _equal_share_cost(options, limits=False), np.inf)
    choice = _complete(search, cheapest_options(options, cost), f"can be trained at the {name}")
    return _allocate(search, choice)


def _equal_share_cost(options: Options, limits: bool = True) -> Array:
    """(K,) delay and error cost [s] of each option at equal shares; inf where limits break."""
    pools = pool_delays(options, equal_shares(options))
    delay = options.device_delay_s + pools.sum(axis=0)
    cost: Array = delay + options.error_cost_s
    if not limits:
        return cost
    return np.where(
        (delay > options.deadline_s) | (pools[0] > options.uplink_limit_s), np.inf, cost
    )


def _complete(search: Search, choice: Index, what: str) -> Index:
    without = np.flatnonzero(choice < 0)
    if len(without):
        names = ", ".join(f'"{search.instance.users[n].name}"' for n in without[:8])
        raise NoPlanError(f"{len(without)} users have no option that {what}: {names}")
    return choice


def _allocate(search: Search, choice: Index) -> Termination:
    search.offer(choice)
    return "gap_reached" if search.proven else "heuristic_end"

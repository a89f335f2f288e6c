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
from dtkd_opt.problem.options import OptionTable, pool_delays
from dtkd_opt.problem.physics import Array, Index
from dtkd_opt.records.instance import DEVICE, SERVER
from dtkd_opt.records.solution import Termination


def greedy(search: Search, seed: int, params: None) -> Termination:
    """Each user takes its best option at equal shares, then users of a pool share it equally."""
    _bound(search)
    table = search.table
    cost = _equal_share_cost(table)
    choice = _complete(search, cheapest_options(table, cost), "keeps its limits at equal shares")
    users = np.array(
        [
            np.bincount(table.server[choice], need[choice] > 0, minlength=table.n_servers)
            for need in table.needs
        ]
    )
    share = table.capacity / np.maximum(users, 1)
    shares = np.where(table.needs[:, choice] > 0, share[:, table.server[choice]], 0.0)
    try:
        search.offer_plan(choice, shares, np.zeros_like(table.capacity))
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
    table, rng = search.table, np.random.default_rng(seed)
    size = np.diff(table.start)
    choice = table.start[:-1] + rng.integers(0, size)
    return _allocate(search, choice)


def _bound(search: Search) -> None:
    """The prices' bound; the stop rule's `iterations` are its steps."""
    price_bound(search, max_steps=search.stop.iterations or MAX_STEPS)


def _at_place(search: Search, place: int, name: str) -> Termination:
    _bound(search)
    table = search.table
    cost = np.where(table.place == place, _equal_share_cost(table, limits=False), np.inf)
    choice = _complete(search, cheapest_options(table, cost), f"can be trained at the {name}")
    return _allocate(search, choice)


def _equal_share_cost(table: OptionTable, limits: bool = True) -> Array:
    """(K,) delay and error cost [s] of each option at equal shares; inf where limits break."""
    pools = pool_delays(table, equal_shares(table))
    delay = table.device_delay_s + pools.sum(axis=0)
    cost: Array = delay + table.error_cost_s
    if not limits:
        return cost
    return np.where((delay > table.deadline_s) | (pools[0] > table.uplink_limit_s), np.inf, cost)


def _complete(search: Search, choice: Index, what: str) -> Index:
    without = np.flatnonzero(choice < 0)
    if len(without):
        names = ", ".join(f'"{search.instance.users[n].name}"' for n in without[:8])
        raise NoPlanError(f"{len(without)} users have no option that {what}: {names}")
    return choice


def _allocate(search: Search, choice: Index) -> Termination:
    search.offer(choice)
    return "gap_reached" if search.proven else "heuristic_end"

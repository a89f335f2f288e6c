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
from dtkd_opt.pricing.equal_shares import cheapest_options, equal_share_cost, without_limits
from dtkd_opt.records.arrays import Index
from dtkd_opt.records.fields import Record
from dtkd_opt.records.instance import DEVICE, PLACES, SERVER
from dtkd_opt.records.solution import Termination


class Baseline(Record):
    """The prices' bound, then one choice; the stop rule's `iterations` are steps of the prices."""

    def __call__(self, search: Search, seed: int) -> Termination:
        price_bound(search, max_steps=search.stop.iterations or MAX_STEPS)
        self.try_choice(search, seed)
        return "gap_reached" if search.proven else "heuristic_end"

    def try_choice(self, search: Search, seed: int) -> None:
        """Try the baseline's choice as the incumbent."""
        raise NotImplementedError


class Greedy(Baseline):
    """`greedy`: each user takes its best option at equal shares, then pools are shared equally."""

    def try_choice(self, search: Search, seed: int) -> None:
        options = search.options
        choice = cheapest_options(options, equal_share_cost(options))
        _check_complete(search, choice, "keeps its limits at equal shares")
        server, needed = options.server[choice], options.needs[:, choice] > 0  # (N,), (3, N)
        users = [np.bincount(server, pool, minlength=options.n_servers) for pool in needed]
        share = options.capacity / np.maximum(users, 1)
        shares = np.where(needed, share[:, server], 0.0)
        try:
            search.try_incumbent_plan(choice, shares, np.zeros_like(options.capacity))
        except ArithmeticError as error:
            raise NoPlanError(f"greedy: equal shares do not keep the limits: {error}") from None


class AllDevice(Baseline):
    """`all-device`: all train on their devices; model and server are the best at equal shares."""

    def try_choice(self, search: Search, seed: int) -> None:
        _try_place(search, DEVICE)


class AllServer(Baseline):
    """`all-server`: all are trained at a server; model and server are the best at equal shares."""

    def try_choice(self, search: Search, seed: int) -> None:
        _try_place(search, SERVER)


class Random(Baseline):
    """`random`: every user takes one of its options at random."""

    def try_choice(self, search: Search, seed: int) -> None:
        start = search.options.start
        search.try_incumbent(start[:-1] + np.random.default_rng(seed).integers(0, np.diff(start)))


def _try_place(search: Search, place: int) -> None:
    options = search.options
    cost = np.where(options.place == place, equal_share_cost(without_limits(options)), np.inf)
    choice = cheapest_options(options, cost)
    _check_complete(search, choice, f"can be trained at the {PLACES[place]}")
    search.try_incumbent(choice)


def _check_complete(search: Search, choice: Index, what: str) -> None:
    """Raise NoPlanError where a user has no option that does `what`."""
    without = np.flatnonzero(choice < 0)
    if len(without):
        names = ", ".join(f'"{search.instance.users[n].name}"' for n in without[:8])
        raise NoPlanError(f"{len(without)} users have no option that {what}: {names}")

"""Users decide one after the other: what each decision is worth, and what its user can see.

Before anybody decides there is a guess, x_0: everybody's best option at equal shares. With the
i-th decision it becomes x_i, in which i users have what they chose. With

    C(x) = Σ_n T_n + ρ (1 - a_n)    [s]    under the best allocation of x,

a decision is worth C(x_{i-1}) - C(x_i), so that all of them together are worth N · (J(x_0) - J) of
the finished plan. Only of the finished plan are the limits kept in C; but users of a set never ask
for more than all of them, so that a set that cannot keep its limits ends every plan it is part of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dtkd_opt.pricing.allocation import allocate
from dtkd_opt.pricing.equal_shares import equal_share_choice, without_limits
from dtkd_opt.pricing.response import respond
from dtkd_opt.problem.options import Options, pool_delays
from dtkd_opt.problem.physics import Array, Index
from dtkd_opt.problem.server_ranking import server_ranks, strongest_servers

FEATURES = ("admissible", "device", "uplink", "downlink", "CPU", "error")  # of an option
POOL_FEATURES = 3  # of a server


@dataclass(frozen=True, eq=False)
class Slots:
    """Where a user's options stand: the same place for the same kind of option of every user.

    Slot (r · 2 + place) · M + m is student m, trained at a place, with the server that the user
    hears r-th best; -1 where it has no such option.
    """

    rows: Index  # (N, 2 · M · R) of the option table
    servers: Index  # (N, R)


def count_ranks(options: Options) -> int:
    """R, the most servers that a user has options with."""
    return int(server_ranks(options)[1].max()) + 1


def find_slots(options: Options, n_models: int, n_ranks: int) -> Slots:
    """The slots of all users, for M students and R servers each."""
    order, rank = server_ranks(options)
    user = options.user[order]
    rows = np.full((options.n_users, 2 * n_models * n_ranks), -1)
    rows[user, (rank * 2 + options.place[order]) * n_models + options.model[order]] = order
    return Slots(rows, strongest_servers(options, n_ranks))


class Episode:
    """One round of decisions over an option table.

    Parameters
    ----------
    options
        The option table of an instance.
    order
        (N,) the users, as they decide.
    """

    def __init__(self, options: Options, order: Index):
        self.options, self.order, self.decided = options, order, 0
        self.choice = equal_share_choice(options)  # x_i: rows of the table
        self._free = without_limits(options)
        self.allocation = allocate(self._free, self.choice)
        self.cost_s = self._cost()  # C(x_i)
        self.unit_s = float(self.allocation.delay.mean())
        self.reference_s = self.cost_s / options.n_users  # J(x_0)

    @property
    def finished(self) -> bool:
        return self.decided == self.options.n_users

    @property
    def user(self) -> int:
        """Whose turn it is; of a finished episode, whose it was last."""
        return int(self.order[min(self.decided, self.options.n_users - 1)])

    def decide(self, row: int) -> float:
        """The user at hand takes a row of the table; returns what that is worth [s].

        Raises
        ------
        ChoiceInfeasible
            When those who have decided cannot keep their limits together.
        """
        self.choice[self.user] = row
        self.decided += 1
        before = self.cost_s
        if self.options.constrained:
            self.allocation = allocate(
                self.options, self.choice[np.sort(self.order[: self.decided])]
            )
        if not self.finished or not self.options.constrained:
            self.allocation = allocate(self._free, self.choice)
        self.cost_s = self._cost()
        return before - self.cost_s

    def _cost(self) -> float:
        return float(np.sum(self.allocation.delay + self.options.error_cost_s[self.choice]))

    def option_costs(self) -> Array:
        """(5, k) what each option of the user at hand costs [s]: device, three pools, error.

        A pool's cost is min_b d(b) + λ b, delay and price of the share, over shares up to the whole
        pool; the price λ is that of C(x_i). The error's is what exceeds the user's least.
        """
        own = self.options.slice_users(slice(self.user, self.user + 1))
        some = np.maximum(self.allocation.prices, np.finfo(float).tiny)  # pools that nobody uses
        capacity, prices = own.capacity[:, own.server], some[:, own.server]
        shares = np.minimum(respond(own, some).shares, capacity)
        pools = pool_delays(own, shares) + prices * shares
        error = own.error_cost_s - own.error_cost_s.min()
        return np.vstack([own.device_delay_s, pools, error])

    def observe(self, slots: Slots) -> Array:
        """What the user at hand sees, scale-free numbers in [0, 1].

        For every slot the features of its option (zeros where there is none); for every server the
        user has options with, best heard first, the worth λ C of its three pools over an equal
        share of the users; the share of the users that have decided. Seconds x are seen as
        x / (x + u), u the mean delay of x_0.
        """
        rows, servers = slots.rows[self.user], slots.servers[self.user]
        features = np.zeros((len(FEATURES), len(rows)))
        there = np.flatnonzero(rows >= 0)
        own = rows[there] - self.options.start[self.user]
        features[0, there] = 1.0
        features[1:, there] = self._seen(self.option_costs()[:, own])
        pools = np.zeros((POOL_FEATURES, len(servers)))
        near = servers[servers >= 0]
        equal = self.options.n_users / self.options.n_servers
        worth = self.allocation.prices[:, near] * self.options.capacity[:, near]
        pools[:, servers >= 0] = self._seen(worth / equal)
        return np.concatenate(
            [features.T.ravel(), pools.T.ravel(), [self.decided / self.options.n_users]]
        )

    def _seen(self, seconds: Array) -> Array:
        return seconds / (seconds + self.unit_s)


def observation_size(n_slots: int, n_ranks: int) -> int:
    """Length of :meth:`Episode.observe` for so many slots and servers."""
    return n_slots * len(FEATURES) + n_ranks * POOL_FEATURES + 1

"""Users act one after the other: the reward of each action, and what its user observes.

Initially everybody has its best option at equal shares: the choice x_0. With the i-th action it
becomes x_i, in which i users have what they chose. With

    C(x) = Σ_n T_n + ρ (1 - a_n)    [s]    under the best allocation of x,

an action saves C(x_{i-1}) - C(x_i), so that all of them together save N · (J(x_0) - J) of the
finished plan. C keeps limits in the finished plan only; but users of a set never ask for more than
all of them, so that a set that cannot keep its limits makes every plan with it infeasible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dtkd_opt.pricing.allocation import allocate
from dtkd_opt.pricing.equal_shares import equal_share_choice, without_limits
from dtkd_opt.pricing.response import respond
from dtkd_opt.problem.options import Options, pool_delays
from dtkd_opt.problem.server_ranking import server_ranks, strongest_servers
from dtkd_opt.records.arrays import Array, Index

FEATURES = ("admissible", "device", "uplink", "downlink", "CPU", "error")  # of an option
POOL_FEATURES = 3  # of a server


@dataclass(frozen=True, eq=False)
class Slots:
    """Actions by number: the same number for the same kind of option of every user.

    Slot (r · 2 + place) · M + m is student m, trained at a place, with the server of the user's
    r-th best channel.
    """

    rows: Index  # (N, 2 · M · R) of the options; -1 where a user has no such option
    servers: Index  # (N, R); -1 where a user has fewer


def count_ranks(options: Options) -> int:
    """R, the greatest number of servers that a user has options with."""
    return int(server_ranks(options)[1].max()) + 1


def make_slots(options: Options, n_models: int, n_ranks: int) -> Slots:
    """The slots of all users, for M students and R servers each."""
    order, rank = server_ranks(options)
    user = options.user[order]
    rows = np.full((options.n_users, 2 * n_models * n_ranks), -1)
    rows[user, (rank * 2 + options.place[order]) * n_models + options.model[order]] = order
    return Slots(rows, strongest_servers(options, n_ranks))


class Episode:
    """One action of each user, in an order (N,)."""

    def __init__(self, options: Options, order: Index):
        self.options, self.order, self.steps = options, order, 0
        self.choice = equal_share_choice(options)  # x_i: rows of the options
        self._relaxed = without_limits(options)
        self.allocation = allocate(self._relaxed, self.choice)
        self.cost_s = self._cost()  # C(x_i)
        self.unit_s = float(self.allocation.delay.mean())
        self.reference_s = self.cost_s / options.n_users  # J(x_0)

    @property
    def terminated(self) -> bool:
        return self.steps == self.options.n_users

    @property
    def user(self) -> int:
        """Who acts next; of a finished episode, who acted last."""
        return int(self.order[min(self.steps, self.options.n_users - 1)])

    def step(self, row: int) -> float:
        """The current user chooses a row of the options; returns what that saves [s].

        ChoiceInfeasible where those who have acted cannot keep their limits together.
        """
        self.choice[self.user] = row
        self.steps += 1
        before = self.cost_s
        if self.options.constrained:
            self.allocation = allocate(self.options, self.choice[np.sort(self.order[: self.steps])])
        if not self.terminated or not self.options.constrained:
            self.allocation = allocate(self._relaxed, self.choice)
        self.cost_s = self._cost()
        return before - self.cost_s

    def _cost(self) -> float:
        return float(np.sum(self.allocation.delay + self.options.error_cost_s[self.choice]))

    def option_costs(self) -> Array:
        """(5, K) costs of the current user's K options [s]: device, three pools, error.

        A pool's cost is min_b d(b) + λ b, delay and price of the share, over shares up to the whole
        pool; the price λ is that of C(x_i). The error's is what exceeds that of the best student.
        """
        own = self.options.slice_users(slice(self.user, self.user + 1))
        prices = np.maximum(self.allocation.prices, np.finfo(float).tiny)  # of pools nobody uses: 0
        shares = np.minimum(respond(own, prices).shares, own.capacity[:, own.server])
        pools = pool_delays(own, shares) + prices[:, own.server] * shares
        error = own.error_cost_s - own.error_cost_s.min()
        return np.vstack([own.device_delay_s, pools, error])

    def observe(self, slots: Slots) -> Array:
        """What the current user observes, numbers without units in [0, 1].

        For every slot the features of its option (zeros where there is none); for every server the
        user has options with, best channel first, the value λ C of its three pools per user at
        equal numbers of users; the fraction of the users that have acted. Seconds x become
        x / (x + u), u the mean delay of x_0.
        """
        rows, servers = slots.rows[self.user], slots.servers[self.user]
        features = np.zeros((len(FEATURES), len(rows)))
        admissible = np.flatnonzero(rows >= 0)
        own = rows[admissible] - self.options.start[self.user]
        features[0, admissible] = 1.0
        features[1:, admissible] = self._normalized(self.option_costs()[:, own])
        pools = np.zeros((POOL_FEATURES, len(servers)))
        reached = servers[servers >= 0]
        users_per_server = self.options.n_users / self.options.n_servers
        value_s = self.allocation.prices[:, reached] * self.options.capacity[:, reached]
        pools[:, servers >= 0] = self._normalized(value_s / users_per_server)
        return np.concatenate(
            [features.T.ravel(), pools.T.ravel(), [self.steps / self.options.n_users]]
        )

    def _normalized(self, seconds: Array) -> Array:
        return seconds / (seconds + self.unit_s)


def observation_size(n_slots: int, n_ranks: int) -> int:
    """Length of what :meth:`Episode.observe` returns."""
    return n_slots * len(FEATURES) + n_ranks * POOL_FEATURES + 1

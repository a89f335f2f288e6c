"""What the users of `q-learning` see and learn: states of congestion, and values of options."""

from __future__ import annotations

import numpy as np

from dtkd_opt.pricing.equal_shares import argmax_by_user, first_prices
from dtkd_opt.problem.options import Options
from dtkd_opt.problem.server_ranking import strongest_servers
from dtkd_opt.records.arrays import Array, Index

_STEP = 1.25  # between two levels of congestion
_MAX_STATES = 100  # of one user: of many servers only the strongest count


class Congestion:
    """States of the users: how the worth of their servers' pools compares with a reference.

    The worth of server s is λ_s · C_s [s], the reference is that of everybody's best option at
    equal shares. A level is a factor of 1.25, the outermost ones are unbounded. A user's state
    distinguishes the levels of all servers that it reaches, of many the strongest.
    """

    def __init__(self, options: Options, levels: int):
        self.levels, self.capacity = levels, options.capacity
        self.reference_prices = first_prices(options)
        self._log_reference = self._log_worth(self.reference_prices)
        seen = int(np.log(_MAX_STATES) / np.log(levels)) if levels > 1 else 1
        self.servers = strongest_servers(options, seen)
        self.sizes = levels ** (self.servers >= 0).sum(axis=1)

    def states(self, prices: Array) -> Index:
        """(N,) each user's state at prices (3, S): its servers' levels as digits of a number."""
        # a difference of logarithms: tiny worths have a quotient beyond all floats
        distance = (self._log_worth(prices) - self._log_reference) / np.log(_STEP)
        level = np.clip(np.floor(distance + self.levels / 2), 0, self.levels - 1).astype(np.int64)
        state = np.zeros(len(self.servers), np.int64)
        for column in self.servers.T:
            reached = column >= 0
            state = np.where(reached, state * self.levels + level[column], state)
        return state

    def _log_worth(self, prices: Array) -> Array:
        """(S,) logarithm of the worth of each server's pools [log s]."""
        return np.asarray(np.log(np.maximum((prices * self.capacity).sum(axis=0), 1e-300)))


class QTable:
    """Q[user, state, option] of all users, one flat array.

    User n has `sizes[n]` states and the options `start[n]:start[n + 1]`; its values lie one state
    after the other. Ties go to the first option.
    """

    def __init__(self, start: Index, sizes: Index, values: Array):
        self.start, self.widths = start, np.diff(start)
        ends = np.cumsum(sizes * self.widths)
        self._first = ends - sizes * self.widths
        user = np.repeat(np.arange(len(sizes)), sizes)  # of each user's each state
        blocks = self.widths[user]
        within = np.arange(int(ends[-1])) - np.repeat(np.cumsum(blocks) - blocks, blocks)
        self.values: Array = values[np.repeat(start[user], blocks) + within]
        self.visits = np.zeros(len(self.values), np.int32)

    def best(self, state: Index) -> tuple[Index, Array]:
        """(N,) each user's best option in its state, as a row of the options, and its Q."""
        rows = np.repeat(self._offset(state), self.widths) + np.arange(self.start[-1])
        q = self.values[rows]
        best = argmax_by_user(q, self.start)
        return best, q[best]

    def update(
        self,
        state: Index,
        choice: Index,
        reward: Array,
        next_state: Index,
        learning_rate: float,
        discount: float,
    ) -> None:
        """Q[n, s, k] += α (r + γ max_k' Q[n, s', k'] - Q[n, s, k]) of all users at once."""
        target = reward + discount * self.best(next_state)[1]
        rows = self._offset(state) + choice
        self.visits[rows] += 1
        rate = np.maximum(learning_rate, 1 / self.visits[rows])
        self.values[rows] += rate * (target - self.values[rows])

    def _offset(self, state: Index) -> Index:
        """(N,) what to add to a row of the options to find its value."""
        return np.asarray(self._first + state * self.widths - self.start[:-1])

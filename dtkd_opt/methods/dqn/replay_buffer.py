"""The transitions that `dqn` learns from: rounds of games as their active agents saw them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.methods.dqn.game import FEATURES, Features
from dtkd_opt.records.arrays import Index


class Transitions(NamedTuple):
    """One round as its M active agents saw it, or several rounds concatenated."""

    action_features: Features  # (M, F) of the options they took
    reward: Features  # (M,) in the users' scales
    next_features: Features  # (K, F) of all their options after the round, agent after agent
    n_options: Index  # (M,) how many of these K are each agent's
    next_current: Index  # (M,) which of its own options an agent has after the round
    active_fraction: Features  # (M,) probability of being active in the next round

    @property
    def start(self) -> Index:
        """(M + 1,) the m-th agent's options are rows start[m]:start[m + 1] of next_features."""
        return np.append(0, np.cumsum(self.n_options))


def concatenate(rounds: Sequence[Transitions]) -> Transitions:
    """The transitions of several rounds, one after the other."""
    return Transitions(*map(np.concatenate, zip(*rounds, strict=True)))


def split(joined: Transitions, n_agents: Index) -> list[Transitions]:
    """The rounds that were concatenated, the r-th of them with ``n_agents[r]`` agents."""
    cuts = np.cumsum(n_agents)[:-1]
    of_options = joined.start[cuts]
    columns: tuple[NDArray[Any], ...] = joined
    parts = [
        np.split(column, of_options if name == "next_features" else cuts)
        for name, column in zip(Transitions._fields, columns, strict=True)
    ]
    return [Transitions(*columns) for columns in zip(*parts, strict=True)]


def is_sound(joined: Transitions, n_agents: Index) -> bool:
    """Whether concatenated rounds, as they come from a file, fit together."""
    m, k, f = len(joined.reward), len(joined.next_features), len(FEATURES)
    shapes = ((m, f), (m,), (k, f), (m,), (m,), (m,), (len(n_agents),))
    types = (np.float32, np.float32, np.float32, np.int64, np.int64, np.float32, np.int64)
    columns: tuple[NDArray[Any], ...] = (*joined, n_agents)
    if any(
        column.shape != shape or column.dtype != kind or not np.isfinite(column).all()
        for column, shape, kind in zip(columns, shapes, types, strict=True)
    ):
        return False
    counts = (n_agents > 0).all() and (joined.n_options > 0).all()
    totals = (n_agents.sum(), joined.n_options.sum()) == (m, k)
    current = (joined.next_current >= 0) & (joined.next_current < joined.n_options)
    return bool(counts and totals and current.all())

"""What the trainer of `dqn` learns from: rounds of games, remembered for some of their users."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.allocation import allocate
from dtkd_opt.equal import best_rows
from dtkd_opt.methods.game import FEATURES, State, features, move, rewards
from dtkd_opt.physics import Array, Index

Known = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Transitions:
    """One round as M users saw it, or several rounds joined."""

    taken: Known  # (M, F) features of the options they took
    reward: Known  # (M,) in the users' scales
    following: Known  # (K, F) features of all their options after the round
    start: Index  # (M + 1,): options of the m-th are start[m]:start[m + 1]
    current: Index  # (M,) rows of the options they have after the round
    share: Known  # (M,) probability of moving in the next round


def join(rounds: Sequence[Transitions]) -> Transitions:
    """The transitions of several rounds, one after the other."""
    offsets = np.cumsum([0, *(len(r.following) for r in rounds)])
    starts = [r.start[:-1] + offset for r, offset in zip(rounds, offsets, strict=False)]
    current = [r.current + offset for r, offset in zip(rounds, offsets, strict=False)]
    return Transitions(
        taken=np.concatenate([r.taken for r in rounds]),
        reward=np.concatenate([r.reward for r in rounds]),
        following=np.concatenate([r.following for r in rounds]),
        start=np.append(np.concatenate(starts), offsets[-1]),
        current=np.concatenate(current),
        share=np.concatenate([r.share for r in rounds]),
    )


def explore(
    state: State,
    share: float,
    values: Callable[[Known], Array],
    exploration: float,
    rng: np.random.Generator,
) -> Iterator[Transitions]:
    """Play a game without end, with other moves among the greedy ones.

    Parameters
    ----------
    state
        Where it starts.
    share
        Probability of a user to be asked in a round.
    values
        (K, F) features to (K,) values.
    exploration
        Probability that a move is not the greedy one.
    rng
        Source of all randomness.

    Yields
    ------
    Transitions
        Of each round, for the users who were asked.
    """
    table, users = state.table, np.arange(state.table.n_users)
    known = features(state, users)[1]
    while True:
        asked = rng.random(len(users)) < share
        asked[rng.integers(len(users))] = True
        greedy, other = best_rows(values(known), table.start), _other(known, table.start, rng)
        picked = np.where(rng.random(len(users)) < exploration, other, greedy)
        wanted = np.where(asked, picked, state.choice)
        state = move(state, wanted, partial(allocate, table))
        following = features(state, users)[1]
        movers = np.flatnonzero(asked)
        yield _remembered(state, known[wanted], rewards(state, wanted), following, share, movers)
        known = following


def _other(known: Known, start: Index, rng: np.random.Generator) -> Index:
    """(N,) an option to explore: the cheapest at the prices, or one time in ten any.

    A young network that fears the herd leaves users where they are; it would never see that moving
    one by one is fine.
    """
    anything = rng.integers(start[:-1], start[1:])
    cheapest = best_rows(-known[:, FEATURES.index("reduced")], start)
    other: Index = np.where(rng.random(len(cheapest)) < 0.1, anything, cheapest)
    return other


def _remembered(
    state: State,
    taken: Known,
    reward: Array,
    following: Known,
    share: float,
    users: Index,
) -> Transitions:
    """The part of a round that is kept: that of some users."""
    rows, start = state.table.rows_of(users)
    return Transitions(
        taken=taken[users],
        reward=reward[users].astype(np.float32),
        following=following[rows],
        start=start,
        current=state.choice[users] - state.table.start[users] + start[:-1],
        share=np.full(len(users), share, np.float32),
    )

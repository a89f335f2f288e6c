"""What the trainer of `dqn` learns from: rounds of games, remembered for some of their users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.methods.dqn.game import FEATURES, State, features, move, rewards
from dtkd_opt.pricing.allocation import allocate
from dtkd_opt.pricing.equal_shares import argmax_by_user
from dtkd_opt.problem.physics import Array, Index

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


def split(joined: Transitions, users: Sequence[int]) -> list[Transitions]:
    """The rounds that were joined, the r-th of them with ``users[r]`` users."""
    ends = np.cumsum([0, *users])
    rounds = []
    for first, last in pairwise(ends):
        start = joined.start[first : last + 1]
        rounds.append(
            Transitions(
                taken=joined.taken[first:last],
                reward=joined.reward[first:last],
                following=joined.following[start[0] : start[-1]],
                start=start - start[0],
                current=joined.current[first:last] - start[0],
                share=joined.share[first:last],
            )
        )
    return rounds


def is_sound(joined: Transitions, users: Sequence[int]) -> bool:
    """Whether joined rounds, as they come from a file, have the shapes and rows they must have."""
    total, options, known = sum(users), len(joined.following), (len(FEATURES),)
    shapes = {
        "taken": (total, *known),
        "reward": (total,),
        "following": (options, *known),
        "start": (total + 1,),
        "current": (total,),
        "share": (total,),
    }
    for name, shape in shapes.items():
        array = getattr(joined, name)
        kind = np.int64 if name in ("start", "current") else np.float32
        if (array.dtype, array.shape) != (kind, shape) or not np.isfinite(array).all():
            return False
    start, current = joined.start, joined.current
    rows = start[0] == 0 and start[-1] == options and (np.diff(start) > 0).all()
    return bool(rows and ((current >= start[:-1]) & (current < start[1:])).all())


class Game:
    """A game with other moves among the greedy ones.

    Parameters
    ----------
    seed
        Of its instance, for :func:`dtkd_opt.methods.dqn.instance_sampler.draw_table`.
    state
        Where it stands.
    share
        Probability of a user to be asked in a round.
    played
        Rounds up to now.
    """

    def __init__(self, seed: int, state: State, share: float, played: int = 0):
        self.seed, self.state, self.share, self.played = seed, state, share, played
        self._known = self._look()

    def play(
        self,
        values: Callable[[Known], Array],
        exploration: float,
        rng: np.random.Generator,
    ) -> Transitions:
        """The next round, as the users saw it who were asked.

        `values` gives (K,) values of (K, F) features; `exploration` is the probability that a move
        is not the greedy one.
        """
        state, known, users = self.state, self._known, self.state.options.n_users
        asked = rng.random(users) < self.share
        asked[rng.integers(users)] = True
        picked = _other(known, state.options.start, rng)
        greedy = rng.random(users) >= exploration
        if greedy.any():
            picked = np.where(greedy, argmax_by_user(values(known), state.options.start), picked)
        wanted = np.where(asked, picked, state.choice)
        self.state = move(state, wanted, partial(allocate, state.options))
        self.played += 1
        self._known = self._look()
        reward = rewards(self.state, wanted)
        movers = np.flatnonzero(asked)
        return _remembered(self.state, known[wanted], reward, self._known, self.share, movers)

    def _look(self) -> Known:
        """(K, F) what all users know of their options now."""
        return features(self.state, np.arange(self.state.options.n_users))[1]


def _other(known: Known, start: Index, rng: np.random.Generator) -> Index:
    """(N,) an option to explore: the cheapest at the prices, or one time in ten any.

    A young network that fears the herd leaves users where they are; it would never see that moving
    one by one is fine.
    """
    anything = rng.integers(start[:-1], start[1:])
    cheapest = argmax_by_user(-known[:, FEATURES.index("reduced")], start)
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
    rows, start = state.options.user_rows(users)
    return Transitions(
        taken=taken[users],
        reward=reward[users].astype(np.float32),
        following=following[rows],
        start=start,
        current=state.choice[users] - state.options.start[users] + start[:-1],
        share=np.full(len(users), share, np.float32),
    )

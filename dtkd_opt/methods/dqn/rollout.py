"""A training game of `dqn`: ε-greedy actions of random users, and the transitions they give."""

from __future__ import annotations

from functools import partial

import numpy as np

from dtkd_opt.methods.dqn.game import FEATURES, Features, GameState, QValues, observe, rewards, step
from dtkd_opt.methods.dqn.replay_buffer import Transitions
from dtkd_opt.pricing.allocation import allocate
from dtkd_opt.pricing.equal_shares import argmax_by_user
from dtkd_opt.records.arrays import Index

_ANY_OPTION = 0.1  # probability that an exploratory action is any option, not the cheapest


class Rollout:
    """A game from a state on, played with ε-greedy actions.

    `active_fraction` is the probability that a user is active in a round.
    """

    def __init__(self, state: GameState, active_fraction: float):
        self.state, self.active_fraction, self.rounds = state, active_fraction, 0
        self._features = self._observe()

    def step(self, q_values: QValues, epsilon: float, rng: np.random.Generator) -> Transitions:
        """Play the next round, and return it as its active agents saw it."""
        state, features, n_users = self.state, self._features, self.state.options.n_users
        active = rng.random(n_users) < self.active_fraction
        active[rng.integers(n_users)] = True
        actions = _exploratory_actions(features, state.options.start, rng)
        greedy = rng.random(n_users) >= epsilon
        if greedy.any():
            best = argmax_by_user(q_values(features), state.options.start)
            actions = np.where(greedy, best, actions)
        actions = np.where(active, actions, state.choice)
        self.state = step(state, actions, partial(allocate, state.options))
        self.rounds += 1
        self._features = self._observe()
        agents = np.flatnonzero(active)
        rows, start = state.options.user_rows(agents)
        return Transitions(
            action_features=features[actions[agents]],
            reward=rewards(self.state, actions)[agents].astype(np.float32),
            next_features=self._features[rows],
            n_options=np.diff(start),
            next_current=(self.state.choice - state.options.start[:-1])[agents],
            active_fraction=np.full(len(agents), self.active_fraction, np.float32),
        )

    def _observe(self) -> Features:
        """(K, F) features of all options."""
        return observe(self.state, np.arange(self.state.options.n_users))[1]


def _exploratory_actions(features: Features, start: Index, rng: np.random.Generator) -> Index:
    """(N,) each user's cheapest option at the prices, or one time in ten any.

    An untrained network that expects all others to move leaves users where they are, and would
    never observe the reward of a move by one user.
    """
    anything = rng.integers(start[:-1], start[1:])
    cheapest = argmax_by_user(-features[:, FEATURES.index("reduced_cost")], start)
    return np.asarray(np.where(rng.random(len(cheapest)) < _ANY_OPTION, anything, cheapest))

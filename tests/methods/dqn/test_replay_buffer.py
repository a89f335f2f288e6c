"""Transitions of `dqn`: rounds of games, concatenated and split again."""

from __future__ import annotations

import numpy as np

from dtkd_opt.methods.dqn.checkpoint import TrainState
from dtkd_opt.methods.dqn.game import FEATURES
from dtkd_opt.methods.dqn.replay_buffer import concatenate, is_sound, split
from dtkd_opt.methods.dqn.train import play_round
from tests.support.dqn import fast_settings


def test_concatenated_rounds_keep_their_rows() -> None:
    state = TrainState(fast_settings(100))
    rounds = [play_round(state) for _ in range(3)]
    joined, n_agents = concatenate(rounds), np.array([len(r.reward) for r in rounds])
    current = np.concatenate([r.next_features[r.start[:-1] + r.next_current] for r in rounds])
    np.testing.assert_array_equal(joined.reward, np.concatenate([r.reward for r in rounds]))
    np.testing.assert_array_equal(
        joined.next_features[joined.start[:-1] + joined.next_current], current
    )
    np.testing.assert_array_equal(
        np.diff(joined.start), np.concatenate([np.diff(r.start) for r in rounds])
    )
    assert joined.action_features.shape == (n_agents.sum(), len(FEATURES))
    assert (current[:, FEATURES.index("current")] == 1).all()
    assert is_sound(joined, n_agents)
    for mine, theirs in zip(split(joined, n_agents), rounds, strict=True):
        for column, other in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(column, other)

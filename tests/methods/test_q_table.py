"""The Q-table's update on problems whose values are known, and the states of congestion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtkd_opt.methods.q_table import Congestion, QTable
from dtkd_opt.records.arrays import Array
from tests.support.options import random_options


def value_iteration(reward: Array, next_state: Array, discount: float) -> Array:
    """(S, A) Q* of a small MDP with sure transitions."""
    q = np.zeros_like(reward)
    for _ in range(2000):
        q = reward + discount * q.max(axis=1)[next_state]
    return q


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9])
def test_a_tiny_decision_process_is_solved_as_by_value_iteration(discount: float) -> None:
    """Three states, two actions, two users with problems of their own, any walk through them."""
    rng = np.random.default_rng(0)
    reward, next_state = rng.normal(size=(2, 3, 2)), rng.integers(0, 3, (2, 3, 2))
    start, sizes = np.array([0, 2, 4]), np.array([3, 3])
    q_table = QTable(start, sizes, np.zeros(4))
    state, users = np.zeros(2, np.int64), np.arange(2)
    for _ in range(20_000):
        state = np.where(rng.random(2) < 0.2, rng.integers(0, 3, 2), state)  # sees every state
        action = rng.integers(0, 2, 2)
        gain, new = reward[users, state, action], next_state[users, state, action]
        q_table.update(state, start[:-1] + action, gain, new, 0.2, discount)
        state = new
    for n in range(2):
        want = value_iteration(reward[n], next_state[n], discount)
        for s in range(3):
            at = np.full(2, s)
            best, top = q_table.best(at)
            assert best[n] - start[n] == want[s].argmax()
            assert top[n] == pytest.approx(want[s].max(), abs=1e-6)


def test_first_visits_average_and_later_ones_follow() -> None:
    """α = max(0.25, 1 / visits): the mean of the first four rewards, then a moving one."""
    q_table = QTable(np.array([0, 1]), np.array([1]), np.array([7.0]))
    one = np.zeros(1, np.int64)
    for number, reward in enumerate([1.0, 3.0, 5.0, 7.0], start=1):
        q_table.update(one, one, np.array([reward]), one, 0.25, 0.0)
        assert q_table.values[0] == pytest.approx(np.mean([1.0, 3.0, 5.0, 7.0][:number]))
    q_table.update(one, one, np.array([8.0]), one, 0.25, 0.0)
    assert q_table.values[0] == pytest.approx(4.0 + 0.25 * 4.0)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_best_is_each_users_first_best_option(seed: int) -> None:
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 5, rng.integers(1, 6))
    sizes = rng.integers(1, 4, len(widths))
    start = np.append(0, np.cumsum(widths))
    values = rng.integers(0, 3, start[-1]).astype(float)  # many ties
    q_table = QTable(start, sizes, values)
    state = rng.integers(0, sizes)
    rows, top = q_table.best(state)
    for n in range(len(widths)):
        own = values[start[n] : start[n + 1]]
        assert rows[n] == start[n] + own.argmax()
        assert top[n] == own.max()


def test_states_are_the_digits_of_the_congestion_of_the_servers_in_reach() -> None:
    options = random_options(9, 3, 0)
    congestion = Congestion(options, 3)
    for s in range(3):
        reached = np.isin(np.arange(9), options.user[options.server == s])
        assert ((congestion.servers == s).any(axis=1) == reached).all()
    low, high = (
        congestion.states(congestion.reference_prices * 0.5),
        congestion.states(congestion.reference_prices * 2),
    )
    reach = (congestion.servers >= 0).sum(axis=1)
    assert (low == 0).all()
    assert (high == 3**reach - 1).all()
    states = congestion.states(congestion.reference_prices)
    assert (states == (3**reach - 1) // 2).all()  # the digit 1 everywhere
    assert (congestion.sizes == 3**reach).all()

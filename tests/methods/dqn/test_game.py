"""The congestion game of `dqn`: its features, rewards and transitions."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.methods.dqn.game import (
    FEATURES,
    GameState,
    initial_choices,
    marginal_costs,
    observe,
    price_options,
    reset,
    rewards,
    step,
)
from dtkd_opt.pricing.equal_shares import argmax_by_user
from dtkd_opt.problem.options import Options
from dtkd_opt.records.arrays import Index
from tests.support.options import (
    all_choices,
    constrained_options,
    mean_objective,
    random_choice,
    random_options,
)


def state_of(options: Options, choice: Index) -> GameState:
    return reset(options, choice, do.allocate(options, choice).prices)


def features_of(options: Options, choice: Index) -> np.ndarray:
    """The features of all options after one round in which everybody is active."""
    state = state_of(options, choice)
    users = np.arange(options.n_users)
    features = observe(state, users)[1]
    actions = argmax_by_user(-features[:, FEATURES.index("reduced_cost")], options.start)
    return observe(step(state, actions, partial(do.allocate, options)), users)[1]


def test_features_have_no_unit_of_time() -> None:
    options = random_options(12, 3, seed=1)
    choice = random_choice(options, np.random.default_rng(1))
    features = features_of(options, choice)
    assert features.shape == (len(options), len(FEATURES))
    assert np.abs(features).max() <= 1
    np.testing.assert_allclose(features_of(options.in_time_unit(60.0), choice), features, atol=1e-6)


def test_features_do_not_depend_on_the_number_of_users() -> None:
    """Each user twice in pools twice as large: the same, but for a user's own load."""
    once = random_options(40, 2, seed=2)
    first = np.repeat(np.arange(once.n_users), 2)
    sizes = np.diff(once.start)[first]
    start = np.append(0, np.cumsum(sizes))
    rows = np.arange(start[-1]) + np.repeat(once.start[first] - start[:-1], sizes)
    number = np.repeat(np.arange(len(first)), sizes)
    # the same density of noise and power for each, so that rates double with the bandwidth
    twice = replace(once.select_rows(rows), user=number, start=start, capacity=2 * once.capacity)
    choice = random_choice(once, np.random.default_rng(2))
    assert (do.allocate(once, choice).prices > 0).all()
    doubled = choice[first] - once.start[first] + start[:-1]
    features, both = features_of(once, choice)[rows], features_of(twice, doubled)
    own = [FEATURES.index("own_load"), FEATURES.index("freed_load")]
    others = np.delete(np.arange(len(FEATURES)), own)
    np.testing.assert_allclose(both[:, others], features[:, others], atol=1e-5)
    small = features[:, own] < 1  # beyond, features are clipped
    np.testing.assert_allclose(both[:, own][small], features[:, own][small] / 2, atol=1e-5)


def test_marginal_costs_are_differences_of_the_objective() -> None:
    """Exactly, where nothing is uploaded: each option of a user against none at all."""
    instance = do.generate_instance(6, 2, seed=4)
    users = [u.replace(fresh_fraction=0.0) for u in instance.users]
    options = do.build_options(instance.replace(users=users))
    choice = random_choice(options, np.random.default_rng(4))

    def total(rows: Index) -> float:
        return float((do.allocate(options, rows).delay + options.error_cost_s[rows]).sum())

    priced = price_options(options, do.allocate(options, choice).prices)
    costs = marginal_costs(options, priced, choice)
    reached = np.flatnonzero(
        (priced.fraction < 1).all(axis=0)
    )  # those that are not cut to the whole pool
    for row in reached:
        others = np.delete(choice, options.user[row])
        difference = total(np.append(others, row)) - total(others)
        assert costs[row] == pytest.approx(difference, rel=1e-9)
    assert len(reached) > len(options) / 2


def test_rewards_are_zero_where_nobody_can_do_better() -> None:
    options = random_options(1, 1, seed=5)
    best = min(all_choices(options), key=lambda choice: mean_objective(options, choice))
    worst = max(all_choices(options), key=lambda choice: mean_objective(options, choice))
    assert rewards(state_of(options, best), best)[0] == 0
    assert rewards(state_of(options, worst), worst)[0] < 0


def test_actions_that_break_limits_are_reverted_and_cost() -> None:
    for seed in range(40):
        options = constrained_options(seed, users=6, servers=2, low=0.9, high=1.4)
        start = next(
            (c for c in initial_choices(options) if np.isfinite(mean_objective(options, c))), None
        )
        rng = np.random.default_rng(seed)
        actions = random_choice(options, rng)
        if start is None or np.isfinite(mean_objective(options, actions)):
            continue
        state = step(state_of(options, start), actions, partial(do.allocate, options))
        assert np.isfinite(mean_objective(options, state.choice))
        back = state.choice != actions
        assert back.any()
        np.testing.assert_array_equal(state.choice[back], start[back])
        assert (rewards(state, actions)[back] == -1).all()  # penalty and regret, clipped
        return
    pytest.fail("no action broke a limit")

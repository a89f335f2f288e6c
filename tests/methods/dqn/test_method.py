"""`dqn`: the game's features and moves, the network's files, and the answers it gives."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings

import dtkd_opt as do
from dtkd_opt.methods.dqn.game import (
    FEATURES,
    State,
    begin,
    begin_with,
    contributions,
    features,
    first_choices,
    move,
    price_options,
    rewards,
)
from dtkd_opt.methods.dqn.method import QNetwork, play, torch
from dtkd_opt.pricing.equal_shares import argmax_by_user
from dtkd_opt.problem.options import Options
from dtkd_opt.problem.physics import Index
from dtkd_opt.records.instance import SERVER
from tests.support.instances import small_instance, user
from tests.support.options import (
    all_choices,
    limited_options,
    mean_objective,
    random_choice,
    random_options,
    with_limits,
)
from tests.support.paths import INSTANCES
from tests.support.strategies import instances


def state_of(options: Options, choice: Index) -> State:
    return begin(options, choice, do.allocate(options, choice).prices)


def known_of(options: Options, choice: Index) -> np.ndarray:
    """The features of all options after one round in which everybody may move."""
    state = state_of(options, choice)
    users = np.arange(options.n_users)
    known = features(state, users)[1]
    cheapest = argmax_by_user(-known[:, FEATURES.index("reduced")], options.start)
    return features(move(state, cheapest, partial(do.allocate, options)), users)[1]


def test_features_know_no_unit_of_time() -> None:
    options = random_options(12, 3, seed=1)
    choice = random_choice(options, np.random.default_rng(1))
    known = known_of(options, choice)
    assert known.shape == (len(options), len(FEATURES))
    assert np.abs(known).max() <= 1
    np.testing.assert_allclose(known_of(options.in_time_unit(60.0), choice), known, atol=1e-6)


def test_features_do_not_depend_on_the_number_of_users() -> None:
    """Each user twice in pools twice as large: the same, but for the part that one user buys."""
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
    known, both = known_of(once, choice)[rows], known_of(twice, doubled)
    own = [FEATURES.index("own"), FEATURES.index("vacated")]
    others = np.delete(np.arange(len(FEATURES)), own)
    np.testing.assert_allclose(both[:, others], known[:, others], atol=1e-5)
    small = known[:, own] < 1  # beyond, features are cut off
    np.testing.assert_allclose(both[:, own][small], known[:, own][small] / 2, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(instances())
def test_any_instance_has_features_and_is_played(instance: do.Instance) -> None:
    try:
        options = do.build_options(instance)
    except do.InfeasibleError:
        return
    state = begin_with(options, first_choices(options))
    if state is None:
        return
    assert np.isfinite(features(state, np.arange(options.n_users))[1]).all()
    result = do.solve(instance, "dqn", iterations=5)
    assert result.solution.termination != "stalled", result.reason
    assert do.check(instance, result.solution) == []


def permuted(instance: do.Instance, order: Index) -> do.Instance:
    return instance.model_copy(update={"users": [instance.users[int(n)] for n in order]})


def test_relabelled_users_do_the_same() -> None:
    """In rounds in which all may move, so that no lot is drawn."""
    instance = do.generate_instance(15, 2, seed=3)
    order = np.random.default_rng(3).permutation(15)
    params = do.DQN(rounds=4, first_share=1.0, last_share=1.0)
    mine = do.solve(instance, params)
    theirs = do.solve(permuted(instance, order), params)
    assert mine.incumbent is not None
    assert theirs.incumbent is not None
    assert theirs.objective == pytest.approx(mine.objective, rel=1e-12)
    for column in ("model", "place", "server"):
        ours = getattr(mine.incumbent.plan, column)[order]
        np.testing.assert_array_equal(getattr(theirs.incumbent.plan, column), ours)


def test_contributions_are_differences_of_the_objective() -> None:
    """Exactly, where nothing is uploaded: each option of a user against none at all."""
    instance = do.generate_instance(6, 2, seed=4)
    users = [u.model_copy(update={"fresh_fraction": 0.0}) for u in instance.users]
    options = do.build_options(instance.model_copy(update={"users": users}))
    choice = random_choice(options, np.random.default_rng(4))

    def total(rows: Index) -> float:
        return float((do.allocate(options, rows).delay + options.error_cost_s[rows]).sum())

    priced = price_options(options, do.allocate(options, choice).prices)
    added = contributions(options, priced, choice)
    reached = np.flatnonzero((priced.part < 1).all(axis=0))  # those that need not be cut off
    for row in reached:
        others = np.delete(choice, options.user[row])
        difference = total(np.append(others, row)) - total(others)
        assert added[row] == pytest.approx(difference, rel=1e-9)
    assert len(reached) > len(options) / 2


def test_rewards_are_zero_where_nobody_can_do_better() -> None:
    options = random_options(1, 1, seed=5)
    best = min(all_choices(options), key=lambda choice: mean_objective(options, choice))
    worst = max(all_choices(options), key=lambda choice: mean_objective(options, choice))
    assert rewards(state_of(options, best), best)[0] == 0
    assert rewards(state_of(options, worst), worst)[0] < 0


def test_moves_that_break_limits_are_taken_back_and_cost() -> None:
    for seed in range(40):
        options = limited_options(seed, users=6, servers=2, low=0.9, high=1.4)
        start = next(
            (c for c in first_choices(options) if np.isfinite(mean_objective(options, c))), None
        )
        rng = np.random.default_rng(seed)
        wanted = random_choice(options, rng)
        if start is None or np.isfinite(mean_objective(options, wanted)):
            continue
        state = move(state_of(options, start), wanted, partial(do.allocate, options))
        assert np.isfinite(mean_objective(options, state.choice))
        back = state.choice != wanted
        assert back.any()
        np.testing.assert_array_equal(state.choice[back], start[back])
        assert (rewards(state, wanted)[back] == -1).all()  # penalty and regret, cut off
        return
    pytest.fail("no move broke a limit")


def test_two_users_reach_the_optimum() -> None:
    instance = small_instance(user("a"), user("b", samples=900, channel_gain=(2e-12, 1e-11)))
    options = do.build_options(instance)
    optimum = min(mean_objective(options, choice) for choice in all_choices(options))
    result = do.solve(instance, "dqn")
    assert result.bound <= optimum * (1 + 1e-12)
    assert optimum * (1 - 1e-12) <= result.objective
    assert result.objective - optimum <= result.gap * result.objective + 1e-12
    assert result.objective == pytest.approx(optimum, rel=1e-9)


@pytest.mark.parametrize("seed", [20_001, 20_002, 20_003])
def test_the_shipped_network_does_well_on_instances_it_never_saw(seed: int) -> None:
    instance = do.generate_instance(50, seed=seed)
    result = do.solve(instance, "dqn")
    assert result.gap <= 5e-3
    assert do.check(instance, result.solution) == []
    assert result.objective < do.solve(instance, "greedy").objective
    assert result.objective < undamped(instance)


def undamped(instance: do.Instance) -> float:
    """J of the best choice met when all users always take what is cheapest at the prices."""
    options, met = do.build_options(instance), []

    def allocate(choice: Index) -> do.Allocation:
        met.append(mean_objective(options, choice))
        return do.allocate(options, choice)

    params = do.DQN(first_share=1.0, last_share=1.0)
    start = state_of(options, next(first_choices(options)))
    for _ in play(start, QNetwork(4), params, params.rounds, allocate, np.random.default_rng(0)):
        pass
    return min(met)


@pytest.mark.parametrize(
    "name", ["n10-s3", "n40-s3", "n40-s3-limits", "n20-energy", "n50-deadlines"]
)
def test_plans_with_several_servers_and_limits_are_true(name: str) -> None:
    instance = do.read_instance(INSTANCES / f"{name}.json")
    result = do.solve(instance, "dqn")
    assert result.bound <= result.objective
    assert result.gap <= 3e-2
    assert do.check(instance, result.solution) == []


def test_same_seed_same_choice_and_iterations_are_rounds() -> None:
    instance = do.generate_instance(30, 2, seed=6)
    runs = [do.solve(instance, "dqn", seed=seed, iterations=5) for seed in (1, 1)]
    assert runs[0].solution.users == runs[1].solution.users
    assert runs[0].objective == runs[1].objective
    assert runs[0].solution.termination == "iteration_limit"
    assert runs[0].bound == do.solve(instance, "dqn").bound  # the prices have their own steps
    assert do.solve(instance, "dqn", gap=0.5).solution.termination == "gap_reached"


def test_a_sample_plays_for_many_users() -> None:
    """Its prices bring all near the best plan; the number of threads changes nothing."""
    instance = do.generate_instance(800, seed=9)
    params = do.DQN(sample=200)
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    result = do.solve(instance, params)
    assert torch.get_num_threads() == 4
    torch.set_num_threads(threads)
    assert result.gap <= 1e-3
    assert len([p for p in result.history if p.phase == "rounds"]) <= 2 + params.rounds / 5
    assert do.solve(instance, params).solution.users == result.solution.users


def test_a_sample_keeps_the_time_too() -> None:
    """Without it, ten thousand rounds of the sample would come first."""
    instance = do.generate_instance(400, seed=9)
    params = do.DQN(sample=200, rounds=10_000)
    result = do.solve(instance, params, time_limit=1.0)
    assert result.solution.termination == "time_limit"
    assert result.incumbent is not None
    assert result.solution.runtime_s < 10


def test_an_instance_without_a_plan_is_said_to_have_none() -> None:
    options = random_options(8, 1, seed=7)
    instance = do.generate_instance(8, 1, seed=7)
    at_server = options.select_rows(options.place == SERVER)
    limit = np.full(8, 0.3 * do.allocate(at_server, at_server.start[:-1]).delay.min())
    tight = with_limits(at_server, limit, np.full(8, np.inf))
    result = do.solve(instance, "dqn", options=tight)
    assert result.status in ("infeasible", "unknown")
    assert result.reason

"""The method `dqn`: the answers it gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import dtkd_opt as do
from dtkd_opt.methods.dqn.game import initial_choices, observe, reset, reset_feasible
from dtkd_opt.methods.dqn.network import QNetwork, torch
from dtkd_opt.records.arrays import Index
from dtkd_opt.records.instance import SERVER
from tests.support.instances import small_instance, user
from tests.support.options import all_choices, mean_objective, random_options, with_limits
from tests.support.paths import INSTANCES
from tests.support.strategies import instances


@settings(max_examples=30, deadline=None)
@given(instances())
def test_any_instance_has_features_and_is_played(instance: do.Instance) -> None:
    try:
        options = do.build_options(instance)
    except do.InfeasibleError:
        return
    state = reset_feasible(options, initial_choices(options))
    if state is None:
        return
    assert np.isfinite(observe(state, np.arange(options.n_users))[1]).all()
    result = do.solve(instance, "dqn", iterations=5)
    assert result.solution.termination != "stalled", result.reason
    assert do.check(instance, result.solution) == []


def permuted(instance: do.Instance, order: Index) -> do.Instance:
    return instance.replace(users=[instance.users[int(n)] for n in order])


def test_relabelled_users_do_the_same() -> None:
    """In rounds in which all are active, so that no random number decides."""
    instance = do.generate_instance(15, 2, seed=3)
    order = np.random.default_rng(3).permutation(15)
    method = do.DQN(rounds=4, active_fraction=1.0, final_active_fraction=1.0)
    mine = do.solve(instance, method)
    theirs = do.solve(permuted(instance, order), method)
    assert mine.incumbent is not None
    assert theirs.incumbent is not None
    assert theirs.objective == pytest.approx(mine.objective, rel=1e-12)
    for column in ("model", "place", "server"):
        ours = getattr(mine.incumbent.plan, column)[order]
        np.testing.assert_array_equal(getattr(theirs.incumbent.plan, column), ours)


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
    """J of the best choice when all users always take what is cheapest at the prices."""
    options, costs = do.build_options(instance), []

    def allocate(choice: Index) -> do.Allocation:
        costs.append(mean_objective(options, choice))
        return do.allocate(options, choice)

    method = do.DQN(active_fraction=1.0, final_active_fraction=1.0)
    choice = next(initial_choices(options))
    start = reset(options, choice, do.allocate(options, choice).prices)
    for _ in method.play(start, QNetwork(4), method.rounds, allocate, np.random.default_rng(0)):
        pass
    return min(costs)


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
    method = do.DQN(sample_users=200)
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    result = do.solve(instance, method)
    assert torch.get_num_threads() == 4
    torch.set_num_threads(threads)
    assert result.gap <= 1e-3
    assert len([p for p in result.history if p.phase == "rounds"]) <= 2 + method.rounds / 5
    assert do.solve(instance, method).solution.users == result.solution.users


def test_a_sample_keeps_the_time_too() -> None:
    """Without it, ten thousand rounds of the sample would come first."""
    instance = do.generate_instance(400, seed=9)
    method = do.DQN(sample_users=200, rounds=10_000)
    result = do.solve(instance, method, time_limit=1.0)
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

"""Baselines: what they choose, and whom they name where they find nothing."""

from __future__ import annotations

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.records.instance import DEVICE, PLACES, SERVER


def test_iterations_of_a_baseline_are_steps_of_its_prices() -> None:
    instance = do.generate_instance(20, 2)
    bounds = [do.solve(instance, "greedy", iterations=steps).bound for steps in (1, 5, 500)]
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[1] < bounds[2]


@pytest.mark.parametrize(("method", "place"), [("all-device", DEVICE), ("all-server", SERVER)])
def test_all_train_at_the_place_of_the_methods_name(method: str, place: int) -> None:
    result = do.solve(do.generate_instance(8, 2, 1), method)
    assert set(result.solution.users.place) == {PLACES[place]}
    assert result.solution.termination == "heuristic_end"


def test_greedy_shares_each_pool_equally_among_those_who_need_it() -> None:
    """Some train on their devices, and of those at servers some upload nothing."""
    instance = do.generate_instance(9, 2, 3)
    users = instance.users.replace(fresh_fraction=np.tile([0.0, 0.0, 0.3], 3))
    slow = [edge.replace(cpu_hz=edge.cpu_hz / 5) for edge in instance.servers]
    instance = instance.replace(users=users, servers=slow)
    plan = do.solve(instance, "greedy").plan
    assert plan is not None
    served = plan.place == SERVER
    assert 0 < (plan.uplink_hz > 0).sum() < served.sum() < 9
    for s, edge in enumerate(instance.servers):
        for pool in ("uplink_hz", "downlink_hz", "cpu_hz"):
            used = getattr(plan, pool)[plan.server == s]
            used = used[used > 0]
            assert used * len(used) == pytest.approx(getattr(edge, pool))


def test_greedy_decides_as_if_each_server_had_its_part_of_the_users() -> None:
    """Of one user and one server, that is its best option with whole pools: the optimum."""
    instance = do.generate_instance(1, 1, 5)
    best = do.solve(instance, "exact", gap=1e-9).objective
    assert do.solve(instance, "greedy").objective == pytest.approx(best, rel=1e-8)


def test_random_choices_are_those_of_the_seed() -> None:
    instance = do.generate_instance(10, 2, 0)
    first, again, other = (do.solve(instance, "random", seed=seed) for seed in (3, 3, 4))
    assert first.solution.users == again.solution.users
    assert first.solution.users != other.solution.users


def test_users_without_an_option_at_the_place_are_named() -> None:
    """One device is too slow for its deadline."""
    instance = do.generate_instance(3, 1, 0)
    limits = {"cpu_hz": np.array([1.4e9, 1.0, 1.4e9]), "deadline_s": np.full(3, 100.0)}
    slow = instance.replace(users=instance.users.replace(**limits))
    options = do.build_options(slow)
    assert not (options.place[options.user == 1] == DEVICE).any()
    result = do.solve(slow, "all-device")
    assert (result.status, result.solution.termination) == ("unknown", "no_plan_found")
    assert '"u1"' in result.reason
    assert "can be trained at the device" in result.reason

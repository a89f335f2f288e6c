"""Planning again as channels change."""

from __future__ import annotations

import numpy as np
import pytest

import dtkd_opt as do

GAP = 1e-6
LIMITS = do.GeneratorSettings(deadlines=0.5, energy_budgets=0.5)


def drawn(instance: do.Instance, seed: int) -> np.ndarray:
    gain = instance.users.channel_gain
    return gain * 10 ** (0.3 * np.random.default_rng(seed).standard_normal(gain.shape))


def with_gain(instance: do.Instance, gain: np.ndarray) -> do.Instance:
    return instance.replace(users=instance.users.replace(channel_gain=gain))


def check_planned(result: do.Result, instance: do.Instance, gap: float = GAP) -> None:
    """What `solve` alone finds for the same gains, within both gaps."""
    fresh = do.solve(instance, "price", gap=gap)
    assert result.status == fresh.status == "optimal"
    assert result.gap <= gap
    assert result.objective == pytest.approx(fresh.objective, rel=2 * gap)
    assert result.bound <= fresh.objective * (1 + 1e-12)
    assert do.check(instance, result.solution) == []


@pytest.mark.parametrize("users", [5, pytest.param(8, marks=pytest.mark.slow)])
@pytest.mark.parametrize("params", [None, LIMITS], ids=["free", "limits"])
@pytest.mark.parametrize("servers", [1, 3])
def test_plans_are_those_of_solve(
    params: do.GeneratorSettings | None, servers: int, users: int
) -> None:
    instance = do.generate_instance(users, servers, 2, params)
    planner = do.Planner(instance, gap=GAP)
    check_planned(planner.solve(), instance)
    for seed in range(3):
        # with deadlines, better channels: a plan exists
        gain = drawn(instance, seed) if params is None else instance.users.channel_gain * (2 + seed)
        check_planned(planner.solve(gain), with_gain(instance, gain))
    check_planned(planner.solve(), with_gain(instance, gain))  # the last gains are kept


def test_a_server_that_comes_into_reach_is_used() -> None:
    instance = do.generate_instance(12, 3, 2)
    planner = do.Planner(instance, gap=GAP)
    planner.solve()
    gain = np.where(np.isnan(instance.users.channel_gain), 1e-9, instance.users.channel_gain)
    result = planner.solve(gain)
    check_planned(result, with_gain(instance, gain))
    assert (result.incumbent.plan.server != np.nanargmax(instance.users.channel_gain, 1)).any()


def test_channels_too_bad_for_a_deadline_and_back() -> None:
    instance = do.generate_instance(8, 1, 0, do.GeneratorSettings(deadlines=1.0))
    planner = do.Planner(instance, gap=GAP)
    first = planner.solve()
    worse = planner.solve(instance.users.channel_gain * 1e-9)
    assert worse.status == "infeasible"
    assert "has no feasible solution" in worse.reason
    again = planner.solve(instance.users.channel_gain)
    assert again.objective == pytest.approx(first.objective, rel=2 * GAP)


def test_a_gap_that_means_nothing_is_refused() -> None:
    with pytest.raises(do.UsageError, match="gap must be a number of at least 0, got -1"):
        do.Planner(do.generate_instance(4), gap=-1)


@pytest.mark.parametrize("bad", [-1.0, 0.0, np.inf])
def test_gains_that_are_none(bad: float) -> None:
    instance = do.generate_instance(4)
    planner = do.Planner(instance)
    gain = instance.users.channel_gain.copy()
    gain[2] = bad
    with pytest.raises(do.InputError, match=r"users\[2\]\.channel_gain"):
        planner.solve(gain)
    check_planned(planner.solve(), instance, 1e-4)  # the planner is as before


@pytest.mark.parametrize("gain", [np.full((9, 2), 1e-9), np.full((9, 3), np.nan)])
def test_gains_of_another_shape_or_without_any_server(gain: np.ndarray) -> None:
    planner = do.Planner(do.generate_instance(9, 3, 3))
    for rows in (gain[:8], gain[0]):
        with pytest.raises(do.InputError, match=r"channel_gain: must have 9 rows, got \("):
            planner.solve(rows)
    with pytest.raises(do.InputError, match=r"users\[0\]\.channel_gain: must"):
        planner.solve(gain)

"""Instances with numbers near the records' limits: no warning and no other error than ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do

METHODS = {
    "price": do.Price(),
    "exact": do.Exact(max_rounds=2),
    "q-learning": do.QLearning(rounds=8),
    "q-learning cold": do.QLearning(rounds=8, cold=True),
    "dqn": do.DQN(rounds=2),
    "greedy": do.Greedy(),
    "all-device": do.AllDevice(),
    "all-server": do.AllServer(),
    "random": do.Random(),
}
AMOUNTS = st.sampled_from([1e-30, 1e-15, 1.0, 1e15, 1e30]) | st.floats(-30, 30).map(lambda x: 10**x)
POOLS = ("uplink_hz", "downlink_hz", "cpu_hz", "tx_power_w", "noise_w_per_hz")
OF_USERS = ("cpu_hz", "tx_power_w", "kappa", "energy_j", "deadline_s")


@st.composite
def extreme_instances(draw: st.DrawFn) -> do.Instance:
    """Three users and two servers, with some numbers anywhere within the limits."""
    instance = do.generate_instance(3, 2, draw(st.integers(0, 20)))
    some = {"max_size": 2}
    servers = [
        server.replace(**draw(st.dictionaries(st.sampled_from(POOLS), AMOUNTS, **some)))
        for server in instance.servers
    ]
    changes: dict[str, Any] = {}
    for key in draw(st.sets(st.sampled_from(OF_USERS), **some)):
        changes[key] = np.array([draw(AMOUNTS), *getattr(instance.users, key)[1:]])
    return instance.replace(servers=servers, users=instance.users.replace(**changes))


def solved(instance: do.Instance, method: str) -> None:
    result = do.solve(instance, METHODS[method], iterations=8, time_limit=5)
    assert str(result)
    if result.plan is not None:
        assert do.evaluate(instance, result.plan).violations == ()
        assert result.bound <= result.objective


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15, deadline=None)
@given(instance=extreme_instances())
def test_no_warning_reaches_the_user(instance: do.Instance, method: str) -> None:
    """pytest makes every warning an error."""
    solved(instance, method)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=300, deadline=None)
@given(instance=extreme_instances())
def test_no_warning_reaches_the_user_of_many_instances(instance: do.Instance, method: str) -> None:
    solved(instance, method)

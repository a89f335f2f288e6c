"""Generated instances: reproducible, feasible, and such that the joint optimum matters."""

from __future__ import annotations

import csv
import math
import runpy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from tests.support.paths import INSTANCES

BEST = {
    row["instance"]: row
    for row in csv.DictReader((INSTANCES / "best.csv").read_text().splitlines())
}
SMALL = [name for name, row in BEST.items() if int(row["users"]) <= 20]


@settings(max_examples=15, deadline=None)
@given(
    users=st.integers(1, 12),
    servers=st.integers(1, 4),
    seed=st.integers(0, 10**6),
    limits=st.floats(0, 1),
)
def test_generated_instances_have_a_plan(
    users: int, servers: int, seed: int, limits: float
) -> None:
    params = do.GeneratorSettings(
        deadlines=limits, energy_budgets=limits, accuracy_floors=limits / 2, reach=2
    )
    instance = do.generate_instance(users, servers, seed, params)
    assert instance == do.generate_instance(users, servers, seed, params)
    reached = [sum(g is not None for g in u.channel_gain) for u in instance.users]
    assert reached == [min(2, servers)] * users
    result = do.solve(instance, gap=0.5, time_limit=20)  # any plan will do
    assert result.status in ("optimal", "feasible"), result.reason


def test_draws_are_within_the_documented_ranges() -> None:
    instance = do.generate_instance(400, 1, 0)
    users = instance.users
    assert {u.kappa for u in users} == {1e-28}
    assert all(200 <= u.samples <= 2000 for u in users)
    assert all(0.3e9 <= u.cpu_hz <= 2e9 for u in users)
    assert all(0.1 <= u.tx_power_w <= 0.2 for u in users)
    assert instance.servers[0].cpu_hz == 4e9 * 400
    loss_db = -10 * np.log10([u.channel_gain[0] for u in users])
    # mean of 128.1 + 37.6 log10(d / km) over a disc of 500 m: 128.1 + 37.6 (log10 0.5 - 0.217)
    assert np.mean(loss_db) == pytest.approx(128.1 + 37.6 * (np.log10(0.5) - 0.2171), abs=2.0)


@pytest.mark.parametrize(
    ("counts", "name"),
    [
        ({"users": 0}, "users"),
        ({"users": 10**6 + 1}, "users"),
        ({"servers": 0}, "servers"),
        ({"seed": -1}, "seed"),
        ({"users": 5.0}, "users"),
        ({"servers": "1"}, "servers"),
        ({"seed": 0.5}, "seed"),
        ({"settings": 3}, "settings"),
        ({"settings": {}}, "settings"),
        ({"calibration": "digits"}, "calibration"),
        ({"accuracy": "median"}, "accuracy"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(counts: dict[str, Any], name: str) -> None:
    with pytest.raises(do.UsageError, match=f"^{name} must be "):
        do.generate_instance(**{"users": 2, **counts})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reach", 0),
        *[("seconds_per_error", value) for value in (-1e-9, math.nan, math.inf)],
        *[
            (name, value)
            for name in ("deadlines", "energy_budgets", "accuracy_floors")
            for value in (-1e-9, 1 + 1e-9, math.nan)
        ],
        *[
            (name, value)
            for name in ("uplink_hz", "downlink_hz", "server_hz_per_user", "radius_m")
            for value in (0.0, -1.0, math.nan, math.inf)
        ],
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(do.InputError, match=f"^GeneratorSettings: {name}: must be "):
        do.GeneratorSettings(**{name: value})


@pytest.mark.parametrize("name", SMALL)
def test_best_values_of_small_instances_are_proven_again(name: str) -> None:
    instance = do.read_instance(INSTANCES / f"{name}.json")
    result = do.solve(instance, "exact", gap=1e-7)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(float(BEST[name]["best_value"]), rel=1e-7)
    assert do.check(instance, result.solution) == []


def test_every_shipped_instance_is_listed_and_written_by_its_generator() -> None:
    files = {file.stem for file in INSTANCES.glob("*.json")}
    assert files == set(BEST)
    assert all(float(row["gap"]) <= 1e-6 for row in BEST.values())
    script = runpy.run_path(str(INSTANCES.parent / "experiments" / "instances.py"))
    for name, (users, servers, limits) in script["ALL"].items():
        written = do.generate_instance(
            users, servers, seed=0, settings=do.GeneratorSettings(**limits), name=name
        )
        shipped = do.read_instance(INSTANCES / f"{name}.json")
        # NumPy's transcendental functions round by CPU: gains may differ in the last digit
        gain = written.users.channel_gain
        np.testing.assert_allclose(shipped.users.channel_gain, gain, rtol=1e-12)
        assert shipped.replace(users=shipped.users.replace(channel_gain=gain)) == written


def test_n50_is_worth_optimising() -> None:
    """At the optimum places and students are mixed, and the simple rules cost visibly more."""
    instance = do.read_instance(INSTANCES / "n50.json")
    best = do.solve(instance)
    at_server = sum(u.place == "server" for u in best.solution.users) / 50
    assert 0.25 <= at_server <= 0.75
    assert len({u.model for u in best.solution.users}) >= 3
    for method, min_excess in (("greedy", 0.01), ("all-device", 0.02), ("all-server", 0.02)):
        assert do.solve(instance, method).objective >= (1 + min_excess) * best.objective

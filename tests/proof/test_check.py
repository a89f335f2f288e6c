"""`check` accepts what is true and names whatever is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.records.solution import UserPlans

INSTANCE = do.generate_instance(
    6, 2, 1, do.GeneratorSettings(deadlines=0.5, energy_budgets=0.5, accuracy_floors=0.5)
)
SOLUTION = do.solve(INSTANCE).solution


def changed(**update: Any) -> do.Solution:
    return SOLUTION.replace(**update)


def with_user(n: int, **update: Any) -> do.Solution:
    """Another plan or figure of one user, also one that no file could hold."""
    columns = {key: getattr(SOLUTION.users, key).copy() for key in UserPlans.keys}
    for key, value in update.items():
        columns[key][n] = value
    return changed(users=UserPlans.from_arrays(columns))


def test_a_true_solution_has_no_faults() -> None:
    assert do.check(INSTANCE, SOLUTION) == []


@pytest.mark.parametrize(
    ("update", "part"),
    [
        ({"instance": "other"}, "instance: must be"),
        ({"instance_sha256": "0" * 64}, "instance_sha256"),
        ({"incumbent_objective": 1.0}, "incumbent_objective: is"),
        ({"incumbent_objective": None}, "incumbent_objective: is"),
        ({"mean_accuracy": 0.99}, "mean_accuracy: is"),
        ({"total_delay_s": 0.1}, "total_delay_s: is"),
        ({"objective_bound": 1e9}, "objective_bound: "),
        ({"objective_bound": 1.0}, "gap: is"),
        ({"objective_bound": None}, "gap: must be null"),
        ({"objective_bound": None, "gap": None}, 'must not be "optimal"'),
        ({"gap": 0.5}, "gap: is"),
        ({"status": "infeasible"}, "status: must be"),
        ({"users": SOLUTION.users[:-1]}, "users: must be 6"),
        ({"users": ()}, "holds no plan"),
        ({"users": SOLUTION.users[::-1]}, "users[0].name"),
    ],
)
def test_each_wrong_figure_is_named(update: dict[str, Any], part: str) -> None:
    faults = do.check(INSTANCE, changed(**update))
    assert any(part in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("update", "part"),
    [
        ({"model": "gpt"}, "users[0].model"),
        ({"server": "moon"}, "users[0].server"),
        ({"cpu_hz": 1e15}, "cpu"),
        ({"uplink_hz": 1e15}, "uplink pool"),
        ({"downlink_hz": 1e15}, "downlink pool"),
        ({"downlink_hz": 0.0}, "has no share"),
        ({"accuracy": 0.1}, "users[0].accuracy"),
        ({"energy_j": 77.0}, "users[0].energy_j"),
        ({"delay_s": 1e-3}, "users[0].delay_s"),
    ],
)
def test_each_wrong_plan_is_named(update: dict[str, Any], part: str) -> None:
    faults = do.check(INSTANCE, with_user(0, **update))
    assert any(part in fault for fault in faults), faults


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 5),
    key=st.sampled_from(["uplink_hz", "downlink_hz", "cpu_hz", "delay_s", "accuracy", "energy_j"]),
    factor=st.sampled_from([0.5, 0.999999, 1.000001, 2.0]),
)
def test_no_changed_number_passes(n: int, key: str, factor: float) -> None:
    value = getattr(SOLUTION.users[n], key)
    faults = do.check(INSTANCE, with_user(n, **{key: value * factor}))
    unused = SOLUTION.users[n].place == "device" and key == "uplink_hz"
    assert bool(faults) != (value == 0 or unused)

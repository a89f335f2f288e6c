"""Plans by numbers and under names."""

from __future__ import annotations

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.records.instance import DEVICE, SERVER
from dtkd_opt.records.plan import Plan, PlanRows
from tests.support.instances import small_instance, user

INSTANCE = small_instance(user("a"), user("b"), user("c"))
PLAN = Plan.from_columns(
    model=np.array([0, 1, 1]),
    place=np.array([SERVER, DEVICE, SERVER]),
    server=np.array([1, 0, 0]),
    uplink_hz=np.array([1e5, 0.0, 2e5]),
    downlink_hz=np.array([3e5, 4e5, 5e5]),
    cpu_hz=np.array([6e9, 1e9, 7e9]),
)


def test_one_column_of_files_is_the_share_of_the_server_or_the_devices_own_frequency() -> None:
    assert PLAN.cpu_hz.tolist() == [6e9, 0, 7e9]
    assert PLAN.device_hz.tolist() == [0, 1e9, 0]
    assert PLAN.compute_hz.tolist() == [6e9, 1e9, 7e9]


def test_a_plan_under_names_is_the_plan_by_numbers() -> None:
    rows = PlanRows.from_plan(INSTANCE, PLAN)
    second = rows[1]
    assert (second.name, second.model, second.place) == ("b", "large", "device")
    assert (second.server, second.cpu_hz) == ("edge-0", 1e9)
    again = rows.to_plan(INSTANCE)
    for key, column in vars(PLAN).items():
        assert getattr(again, key).tolist() == column.tolist(), key


def test_names_that_the_instance_does_not_have_are_minus_1() -> None:
    rows = PlanRows.from_plan(INSTANCE, PLAN)
    strange = rows.replace(model=["gpt", "large", "small"], server=["edge-1", "edge-0", "moon"])
    plan = strange.to_plan(INSTANCE)
    assert plan.model.tolist() == [-1, 1, 0]
    assert plan.server.tolist() == [1, 0, -1]


def test_wrong_rows_are_named_as_those_of_a_certificate() -> None:
    rows = PlanRows.from_plan(INSTANCE, PLAN)
    said = r"incumbent\[2\]\.uplink_hz: must be at least 0, got -1"
    with pytest.raises(do.InputError, match=said):
        rows.replace(uplink_hz=np.array([1.0, 1.0, -1.0]))

"""Columns that look like records: the same contents, the same checks, the same words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import dtkd_opt as do
from dtkd_opt.errors import KEPT_FAULTS
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.solution import UserPlan, UserPlans
from dtkd_opt.records.users import User, Users
from tests.support.instances import MIXED, small_instance, user

ODD_NUMBERS = st.sampled_from(
    [
        0.0, -0.0, -1.0, 5e-324, 1e-31, 1e-30, 9.99e-13, 1e-12, 0.5, 1.0, 1.0000001,
        1e30, 1.01e30, 1.7e308, float("inf"), float("-inf"), float("nan"),
    ]
)  # fmt: skip
ODD_COUNTS = st.sampled_from([-(2**63), -1, 0, 1, 7, 10**15, 10**15 + 1, 2**63 - 1])
ODD_TEXTS = st.sampled_from(["u0", "", " ", "\ud800", "a\0", "device", "server", "Zürich"])


# in an instance ----------------------------------------------------------------------------------


def test_an_instance_takes_records_or_columns() -> None:
    given_records = small_instance(*MIXED)
    data = dict(given_records)
    for users in (MIXED, list(MIXED), Users.from_records(MIXED), [u.model_dump() for u in MIXED]):
        instance = Instance(**{**data, "users": users})
        assert isinstance(instance.users, Users)
        assert instance == given_records
        assert given_records.replace(users=instance.users[:2]).users == MIXED[:2]
    assert isinstance(given_records.replace(users=MIXED[:2]).users, Users)
    assert given_records.model_dump()["users"][1] == MIXED[1].model_dump()


def test_an_instance_without_users_is_refused() -> None:
    for users in ((), Users.from_records(())):
        with pytest.raises(do.InputError, match="users: must have at least one entry"):
            Instance(**{**dict(small_instance(*MIXED)), "users": users})


def lines(*users: User) -> list[str]:
    data = dict(small_instance(*MIXED))
    with pytest.raises(do.InputError) as caught:
        Instance(**{**data, "users": users})
    return list(caught.value.faults)


def test_faults_between_users_come_user_by_user() -> None:
    faults = lines(
        user("a", channel_gain=(None, None), min_accuracy=1.0),
        user("b", channel_gain=(1e-12,)),
        user("a"),
        user("c", channel_gain=(None, None, None), min_accuracy=0.9),
    )
    assert [fault.split(":")[0] for fault in faults] == [
        "users[2].name",
        "users[0].channel_gain",
        "users[0].min_accuracy",
        "users[1].channel_gain",
        "users[3].channel_gain",
        "users[3].min_accuracy",
    ]
    assert "got 1" in faults[3]
    assert "got 3" in faults[4]


def test_of_very_many_faults_the_first_are_kept() -> None:
    with pytest.raises(do.InputError) as caught:
        Users.from_columns(
            name=["u"] * 5000,
            samples=np.zeros(5000, int),
            fresh_fraction=np.zeros(5000),
            cpu_hz=np.ones(5000),
            tx_power_w=np.ones(5000),
            kappa=np.zeros(5000),
            channel_gain=np.ones((5000, 1)),
        )
    assert len(caught.value.faults) == KEPT_FAULTS
    assert "… and at least 980 more faults" in str(caught.value)
    assert len(lines(*[user("a", channel_gain=(None, None))] * 1500)) == KEPT_FAULTS


# checks of columns -------------------------------------------------------------------------------


def accepted(record: type[User] | type[UserPlan], row: dict[str, Any]) -> bool:
    try:
        record.model_validate(row)
    except ValidationError:
        return False
    return True


NULLS = {"energy_j": math.inf, "deadline_s": math.inf, "min_accuracy": -math.inf}
ROWS = st.fixed_dictionaries(
    {
        "name": ODD_TEXTS,
        "samples": ODD_COUNTS,
        **dict.fromkeys(("fresh_fraction", "cpu_hz", "tx_power_w", "kappa"), ODD_NUMBERS),
        "channel_gain": st.lists(ODD_NUMBERS, min_size=2, max_size=2),
        **dict.fromkeys(("energy_j", "deadline_s", "min_accuracy"), ODD_NUMBERS),
    }
)
GOOD_ROW = {
    "name": "u", "samples": 5, "fresh_fraction": 0.5, "cpu_hz": 1.0, "tx_power_w": 1.0,
    "kappa": 0.0, "channel_gain": [1e-12, math.nan], "energy_j": math.inf, "deadline_s": math.inf,
    "min_accuracy": -math.inf,
}  # fmt: skip


@given(odd=ROWS, keys=st.sets(st.sampled_from(list(GOOD_ROW)), max_size=3))
@settings(max_examples=400, deadline=None)
def test_masks_find_what_users_records_refuse(odd: dict[str, Any], keys: set[str]) -> None:
    """Each kind of entry, alone and with others; null is what stands for it."""
    row = {key: odd[key] if key in keys else GOOD_ROW[key] for key in GOOD_ROW}
    users = Users.from_arrays({key: Users.keys[key].pack([row[key]]) for key in row})
    record = {key: None if row[key] == stands else row[key] for key, stands in NULLS.items()}
    gains = tuple(None if gain != gain else gain for gain in row["channel_gain"])
    record = {**row, **record, "channel_gain": gains}
    assert users.invalid_rows().tolist() == [not accepted(User, record)]


NUMBERS = ("uplink_hz", "downlink_hz", "cpu_hz", "delay_s", "accuracy", "energy_j")


@given(
    row=st.fixed_dictionaries(
        {
            **dict.fromkeys(("name", "model", "place", "server"), ODD_TEXTS),
            **dict.fromkeys(NUMBERS, st.just(0.5) | ODD_NUMBERS),
        }
    )
)
@example(
    row={
        **dict.fromkeys(("name", "model", "place", "server"), "server"),
        **dict.fromkeys(NUMBERS, 1.0),
    }
)
@settings(max_examples=400, deadline=None)
def test_masks_find_what_plans_records_refuse(row: dict[str, Any]) -> None:
    plans = UserPlans.from_arrays(
        {key: UserPlans.keys[key].pack([row[key]]) for key in UserPlans.keys}
    )
    assert plans.invalid_rows().tolist() == [not accepted(UserPlan, row)]


COLUMNS: dict[str, Any] = {
    "name": ["a", "b"],
    "samples": [5, 6],
    "fresh_fraction": [0.0, 1.0],
    "cpu_hz": [1e9, 1e9],
    "tx_power_w": [0.1, 0.2],
    "kappa": [0.0, 1e-28],
    "channel_gain": [[1e-12, np.nan], [np.nan, 1e-11]],
}


def test_nullable_columns_may_be_left_out() -> None:
    first, second = Users.from_columns(**COLUMNS)
    assert first.channel_gain == (1e-12, None)
    assert (second.energy_j, second.deadline_s, second.min_accuracy) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"samples": [5, 0]}, "users[1].samples: must be at least 1, got 0"),
        ({"cpu_hz": [np.nan, 1.0]}, "users[0].cpu_hz: must be a finite number"),
        ({"name": ["a", ""]}, "users[1].name: must not be empty"),
        ({"name": ["a", 7]}, "users[1].name: must be a text in quotes, got 7"),
        ({"name": [["a"], ["b"]]}, "users[0].name: must be a text in quotes, got a list"),
        ({"deadline_s": [1.0, -2.0]}, "users[1].deadline_s: must be greater than 0"),
        ({"deadline_s": np.array([1.0, np.nan])}, "users[1].deadline_s: must be a finite number"),
        ({"channel_gain": [[1.0, 0.5], [0.3, 0.0]]}, "users[1].channel_gain[1]: must"),
        ({"samples": [5.0, 6]}, "users[0].samples: must be a whole number written in digits only"),
        ({"samples": np.ones(2)}, "users[1].samples: must be a whole number"),
        ({"samples": [True, 6]}, "users[0].samples: must be a whole number"),
        ({"samples": [2**63, 6]}, "users[0].samples: must be at most 1e+15"),
        ({"samples": [10**400, 6]}, "users[0].samples: must be at most 1e+15"),
        ({"samples": [5]}, "samples: must have 2 entries as name has, got 1"),
        ({"samples": 5}, "samples: must be a list or an array with an entry for each of them"),
        ({"samples": "56"}, "samples: must be a list"),
        ({"samples": np.array(5)}, "samples: must be a list"),
        ({"speed": [5, 6]}, "speed: is not a known key; remove or rename it"),
        ({"sample": [5, 6]}, "sample: is not a known key; did you mean samples?"),
        ({"kappa": None}, "kappa: is missing; must be given"),
        ({"kappa": [10**400, 0]}, "users[0].kappa: must be"),
        ({"kappa": ["1", None]}, 'users[0].kappa: must be a number, got "1"'),
        ({"kappa": [1j, 0.0]}, "users[0].kappa: must be a number"),
        ({"kappa": np.ones(2, bool)}, "users[0].kappa: must be a number, got true"),
        ({"kappa": np.ones((2, 1))}, "users[0].kappa: must be a number, got a list"),
        ({"cpu_hz": [1e9, [1e9]]}, "users[1].cpu_hz: must be a number, got a list"),
        ({"channel_gain": [1e-12, 1e-12]}, "users[0].channel_gain: must be a list in [ ]"),
        ({"channel_gain": [[1e-12, "a"], [None, 1]]}, "users[0].channel_gain[1]: must be a number"),
        ({"channel_gain": np.ones((2, 1, 1))}, "users[0].channel_gain[0]: must be a number"),
    ],
)
def test_wrong_columns(change: dict[str, Any], part: str) -> None:
    columns = {key: value for key, value in {**COLUMNS, **change}.items() if value is not None}
    with pytest.raises(do.InputError) as caught:
        Users.from_columns(**columns)
    assert f"users: {part}" in str(caught.value)


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int64, np.float32, np.float64, object])
def test_any_numbers_of_numpy_and_pandas_are_numbers(kind: type) -> None:
    """Whole ones where the file has whole ones."""
    given = {key: np.array([1, 7], kind) for key in ("cpu_hz", "tx_power_w", "deadline_s")}
    if not issubclass(kind, np.floating):
        given["samples"] = np.array([5, 6], kind)
    given["channel_gain"] = np.array([[1, 1], [1, 1]], kind)
    expected = Users.from_columns(**COLUMNS | {key: x.tolist() for key, x in given.items()})
    for wrap in (np.asarray, list, pd.Series, pd.Index):
        wrapped = {key: wrap(x) if x.ndim == 1 else x for key, x in given.items()}
        assert Users.from_columns(**COLUMNS | wrapped) == expected


def test_gains_of_several_lengths_are_named_by_the_instance() -> None:
    users = Users.from_columns(**COLUMNS | {"channel_gain": [[1e-12], [None, 1e-12]]})
    with pytest.raises(do.InputError, match=r"users\[0\]\.channel_gain: must have one entry"):
        small_instance(*MIXED[:1]).replace(users=users)

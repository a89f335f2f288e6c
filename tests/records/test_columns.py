"""Columns that look like a sequence of records."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtkd_opt.errors import InputError
from dtkd_opt.records.columns import Columns
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.plan import PlanRows
from dtkd_opt.records.solution import UserPlans
from dtkd_opt.records.users import User, Users
from tests.support.instances import MIXED
from tests.support.strategies import instances

_SHARES = {key: [1.0, 2.0] for key in ("uplink_hz", "downlink_hz", "cpu_hz")}
_NAMES = {"name": ["a", "b"], "model": ["m", "m"], "place": ["device"] * 2, "server": ["s", "s"]}
PLAN_ROWS = PlanRows.from_columns(**_NAMES, **_SHARES)
PLAN = UserPlans.from_columns(
    **_NAMES, **_SHARES, delay_s=[1, 2], accuracy=[0.5, 1], energy_j=[0.0, 1.0]
)
# nothing that a column of two or three entries may be
ODD: list[Any] = [
    None, 7, "abc", {}, [], [[]], np.array(3.0), np.zeros(5), np.zeros((3, 3, 3)), [-1.0, "", None],
    [object()] * 2, np.array([b"a", b"b"]), [float("nan"), [1, [2]], "\ud800"],
]  # fmt: skip


@given(instance=instances())
@settings(deadline=None)
def test_records_come_back(instance: Instance) -> None:
    records = tuple(instance.users)
    again = Users.from_records(records)
    assert again == instance.users == records
    assert hash(again) == hash(instance.users) == hash(records)
    assert tuple(again) == records
    assert [again[n] for n in range(len(again))] == list(records)
    assert all(User.model_validate(u.model_dump()) == u for u in again)


def test_values_are_pythons_own() -> None:
    first, second, third = Users.from_records(MIXED)
    assert type(first.samples) is int
    assert type(first.cpu_hz) is float
    assert type(first.channel_gain) is tuple
    assert second.channel_gain == (None, 1e-12)
    assert (first.energy_j, second.energy_j, second.deadline_s) == (0.3, None, 3.0)
    assert (first.min_accuracy, third.min_accuracy, third.samples) == (None, 0.7, 10**15)


def test_indexing_is_a_sequences() -> None:
    users = Users.from_records(MIXED)
    assert (users[-1], users[np.int64(1)]) == (MIXED[-1], MIXED[1])
    assert users[::-1] == MIXED[::-1]
    assert users[:0] == ()
    assert (*users[1:], users[0]) == (*MIXED[1:], MIXED[0])
    assert MIXED[1] in users
    assert users.index(MIXED[2]) == 2
    assert users != MIXED[:2]
    assert users != "abc"
    for n in (3, -4):
        with pytest.raises(IndexError):
            users[n]


def test_columns_hold_nulls_as_numbers_that_limit_nothing() -> None:
    users = Users.from_records(MIXED)
    assert users.samples.dtype == np.int64
    assert users.energy_j.tolist() == [0.3, np.inf, np.inf]
    assert users.deadline_s.tolist() == [np.inf, 3.0, np.inf]
    assert users.min_accuracy.tolist() == [-np.inf, -np.inf, 0.7]
    assert np.isnan(users.channel_gain).tolist() == [[False, False], [True, False], [False, False]]
    assert users.name.tolist() == ["a", "b", "用户"]


def test_nothing_can_be_changed() -> None:
    users = Users.from_records(MIXED)
    with pytest.raises(ValueError, match="read-only"):
        users.samples[0] = 5
    with pytest.raises(AttributeError, match="frozen"):
        users.samples = np.array([1, 2, 3])
    with pytest.raises(AttributeError, match="no column"):
        _ = users.sample
    with pytest.raises(AttributeError, match="frozen"):
        users[0].samples = 5


def test_records_that_checked_nothing_are_checked() -> None:
    wrong = User.model_construct(**dict(MIXED[0]) | {"samples": -3})
    with pytest.raises(
        InputError, match=r"^users: users\[1\]\.samples: must be at least 1, got -3"
    ):
        Users.from_records([MIXED[1], wrong])


KINDS = (Users.from_records(MIXED), PLAN, PLAN_ROWS)


@pytest.mark.parametrize("columns", KINDS, ids=lambda columns: type(columns).__name__)
@given(data=st.data())
def test_the_constructor_checks_what_it_is_given(
    columns: Columns[Any], data: st.DataObject
) -> None:
    kind = type(columns)
    arrays = {key: getattr(columns, key) for key in kind.keys}
    assert kind(arrays) == columns
    key = data.draw(st.sampled_from(list(arrays)))
    odd = data.draw(st.sampled_from(ODD))
    with pytest.raises(
        InputError, match=rf"^{kind.file_key}: .*{key}|^{kind.file_key}: name: must have"
    ):
        kind({**arrays, key: odd})


@pytest.mark.parametrize("odd", [None, "abc", 3, [1], np.zeros(3)], ids=repr)
def test_columns_come_by_their_keys(odd: Any) -> None:
    with pytest.raises(InputError, match=r"^users: must be lists or arrays by their keys, got "):
        Users(odd)


def test_columns_that_are_not_there_are_named() -> None:
    with pytest.raises(InputError, match=r"^users: name: is missing; must be given\nusers: sam"):
        Users({})


def test_the_callers_array_stays_its_own() -> None:
    mine = np.array([1e9, 2e9, 3e9])
    users = Users.from_records(MIXED).replace(cpu_hz=mine)
    mine[0] = 7.0
    assert users.cpu_hz.tolist() == [1e9, 2e9, 3e9]
    assert users[0] == MIXED[0].replace(cpu_hz=1e9)


def test_copies_and_pickles_are_equal_and_frozen() -> None:
    users = Users.from_records(MIXED)
    for again in (pickle.loads(pickle.dumps(users)), copy.copy(users), copy.deepcopy(users)):
        assert again == users
        assert not again.samples.flags.writeable

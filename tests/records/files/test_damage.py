"""Instance files damaged at random: a record that works, or lines for the user; nothing else."""

from __future__ import annotations

import copy
import json
import string
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtkd_opt.errors import DtkdError, InfeasibleError, InputError
from dtkd_opt.problem.options import build_options
from dtkd_opt.records.files import parse_json
from dtkd_opt.records.instance import LARGEST, SMALLEST, Instance
from dtkd_opt.records.validation import validate
from tests.support.strategies import instances

SOURCE = "some file"
Spot = tuple[Any, Any]  # a list or an object, and an index or a key of it
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
REPLACEMENTS = st.one_of(
    st.sampled_from(
        [None, True, False, "", "x", "\ud800", "1e5", 0, -1, 1, 2, 0.5, 1.0, -0.0, -1e-300, 1e-320]
    ),
    st.sampled_from(
        [1e-30, 1e30, 1e-29, 1e29, 1e300, 1e308, 10**15, 10**16, 10**400, 10**4000, -(10**400)]
    ),
    st.sampled_from([float("nan"), float("inf"), float("-inf"), [], {}, [None], [[]], {"": None}]),
    SCALARS,
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=5,
    ),
)
KEYS = st.text(max_size=5) | st.sampled_from(["", "name", "format", "energy_j", "\ud800", "a.b[0]"])


def spots(value: Any) -> Iterator[Spot]:
    """Every entry of every list and object inside `value`."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from spots(value[key])


def damage_record(draw: st.DrawFn, data: Any) -> None:
    holder, key = draw(st.sampled_from(list(spots(data)) or [([None], 0)]))
    kind = draw(st.sampled_from(["delete", "replace", "replace", "replace", "insert", "repeat"]))
    if kind == "delete":
        del holder[key]
    elif kind == "replace":
        holder[key] = draw(REPLACEMENTS)
    elif isinstance(holder, dict):
        holder[draw(KEYS)] = copy.deepcopy(holder[key]) if kind == "repeat" else draw(REPLACEMENTS)
    else:
        holder.insert(key, copy.deepcopy(holder[key]) if kind == "repeat" else draw(REPLACEMENTS))


def truncate(draw: st.DrawFn, text: bytes) -> bytes:
    return text[: draw(st.integers(0, len(text)))]


def overwrite(draw: st.DrawFn, text: bytes) -> bytes:
    at = draw(st.integers(0, len(text) - 1))
    bytes_of_json = st.sampled_from((string.digits + string.punctuation + "\n\t ").encode())
    return text[:at] + bytes([draw(st.integers(0, 255) | bytes_of_json)]) + text[at + 1 :]


def repeat_a_part(draw: st.DrawFn, text: bytes) -> bytes:
    """Often a key given twice."""
    parts = text.split(b",")
    at = draw(st.integers(0, len(parts) - 1))
    return b",".join([*parts[: at + 1], *parts[at:]])


DAMAGES: list[Callable[[st.DrawFn, bytes], bytes]] = [truncate, overwrite, repeat_a_part]


@st.composite
def damaged_records(draw: st.DrawFn) -> bytes:
    """An instance file with one to three wrong entries (or entries that happen to be right)."""
    data = json.loads(draw(instances(max_users=2, max_servers=2, max_models=2)).to_bytes())
    for _ in range(draw(st.integers(1, 3))):
        damage_record(draw, data)
    return json.dumps(data).encode()


ENDS: dict[type, list[Any]] = {int: [1, 10**15], float: [SMALLEST, LARGEST]}


@st.composite
def extreme_records(draw: st.DrawFn) -> bytes:
    """A valid instance file in which many numbers lie at the ends of what is valid."""
    data = json.loads(draw(instances(max_users=2, max_servers=2, max_models=2)).to_bytes())
    accuracies = [model.pop("accuracy") for model in data["models"]]
    for user in data["users"]:
        user.pop("min_accuracy", None)
    for holder, key in list(spots(data)):
        if key != "fresh_fraction" and type(holder[key]) in ENDS:
            holder[key] = draw(st.sampled_from([holder[key], *ENDS[type(holder[key])]]))
    for user in data["users"]:
        user["channel_gain"] = [gain and min(gain, 1.0) for gain in user["channel_gain"]]
    for model, accuracy in zip(data["models"], accuracies, strict=True):
        model["accuracy"] = accuracy
    return json.dumps(data).encode()


@st.composite
def damaged_texts(draw: st.DrawFn) -> bytes:
    """An instance file with wrong bytes, cut short, or with a part of it twice."""
    text = draw(instances(max_users=2, max_servers=2, max_models=2)).to_bytes()
    return draw(st.sampled_from(DAMAGES))(draw, text)


def read_or_clean_error(data: bytes) -> None:
    """Either a record that a method can work on, or lines for the user: nothing else escapes."""
    try:
        build_options(validate(Instance, parse_json(data, SOURCE), SOURCE))
    except InfeasibleError as error:
        assert_plain(error)
    except InputError as error:
        assert_plain(error)
        for line in str(error).split("\n"):
            assert line.startswith(f"{SOURCE}: ")
            assert len(line) < 250


def assert_plain(error: DtkdError) -> None:
    message = str(error)
    assert message
    assert message.encode()
    assert message.replace("\n", "").isprintable()
    for word in ("Traceback", "pydantic", "<class", "object at 0x", "Error", "input should"):
        assert word not in message


@given(data=damaged_records())
@settings(max_examples=300, deadline=None)
def test_damaged_record(data: bytes) -> None:
    read_or_clean_error(data)


@given(data=damaged_texts())
@settings(max_examples=200, deadline=None)
def test_damaged_text(data: bytes) -> None:
    read_or_clean_error(data)


@given(data=extreme_records())
@settings(max_examples=100, deadline=None)
def test_no_overflow_at_the_ends(data: bytes) -> None:
    """NumPy's warnings are errors here."""
    instance = validate(Instance, parse_json(data, SOURCE), SOURCE)
    try:
        options = build_options(instance)
    except InfeasibleError as error:
        assert_plain(error)
    else:
        for numbers in (
            options.needs,
            options.capacity,
            options.device_delay_s,
            options.uplink_snr_hz,
        ):
            assert np.isfinite(numbers).all()
        assert (options.capacity > 0).all()
        assert (options.uplink_snr_hz > 0).all()


@given(data=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode()))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        validate(Instance, parse_json(data, SOURCE), SOURCE)
    assert_plain(caught.value)


@given(value=REPLACEMENTS)
def test_any_json(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        validate(Instance, parse_json(json.dumps(value).encode(), SOURCE), SOURCE)
    assert_plain(caught.value)

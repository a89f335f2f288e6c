"""Instance records and files: what is valid comes back unchanged, what is not is told plainly."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from strategies import instances, tables

from dtkd_opt.errors import DtkdError, InfeasibleError, InputError
from dtkd_opt.files import parse_json, validate, write_atomic
from dtkd_opt.instance import (
    LARGEST,
    PLACES,
    SMALLEST,
    AccuracyTable,
    Instance,
    Place,
    read_instance,
    write_instance,
)
from dtkd_opt.options import build_options

SOURCE = "some file"


@pytest.fixture
def instance() -> Instance:
    return Instance.model_validate(
        {
            "format": "dtkd-opt/instance/1",
            "name": "one",
            "seconds_per_error": 300,
            "task": {
                "epochs": 5,
                "bits_per_sample": 6272,
                "bits_per_label": 320,
                "teacher_cycles_per_sample": 7.5e7,
            },
            "servers": [
                {
                    "name": "edge-0",
                    "uplink_hz": 8e5,
                    "downlink_hz": 8e5,
                    "cpu_hz": 8e9,
                    "tx_power_w": 20,
                    "noise_w_per_hz": 3.98e-21,
                }
            ],
            "models": [
                {
                    "name": "mlp-64",
                    "bits": 1.6e6,
                    "cycles_per_sample": 4e4,
                    "accuracy": {
                        "samples": [100, 1000],
                        "device": [0.74, 0.82],
                        "server": [0.75, 0.83],
                    },
                }
            ],
            "users": [
                {
                    "name": "u0",
                    "samples": 700,
                    "fresh_fraction": 0.2,
                    "cpu_hz": 1.2e9,
                    "tx_power_w": 0.2,
                    "kappa": 1e-28,
                    "channel_gain": [1.1e-11],
                    "energy_j": None,
                }
            ],
        }
    )


def only_line(error: pytest.ExceptionInfo[InputError], path: Path | str) -> str:
    """The message's one line, without the file's name."""
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


# records ---------------------------------------------------------------------------------------


def test_records_are_frozen(instance: Instance) -> None:
    table = instance.models[0].accuracy
    for record in (instance, instance.task, instance.servers[0], instance.models[0], table):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(record, next(iter(type(record).model_fields)), "other")
    with pytest.raises(ValidationError, match="frozen"):
        instance.users[0].samples = 1


def test_equal_records_have_equal_hashes(instance: Instance, tmp_path: Path) -> None:
    """Also when they come from files that differ in white space only."""
    path = tmp_path / "spaced.json"
    path.write_text(json.dumps(json.loads(instance.to_bytes()), indent=4))
    spaced = read_instance(path)
    assert spaced == instance
    assert hash(spaced) == hash(instance)
    assert spaced.sha256 != instance.sha256


def test_changed_copy_drops_the_hash_of_its_file(instance: Instance, tmp_path: Path) -> None:
    write_instance(instance, tmp_path / "one.json")
    read = read_instance(tmp_path / "one.json")
    assert read.model_copy().sha256 == read.sha256
    changed = read.model_copy(update={"seconds_per_error": 1.0})
    assert changed.sha256 == hashlib.sha256(changed.to_bytes()).hexdigest() != read.sha256


# accuracy tables -------------------------------------------------------------------------------


@given(table=tables(), samples=st.integers(1, 10**6) | st.floats(1, 1e6))
def test_accuracy_is_linear_in_log_samples(table: AccuracyTable, samples: float) -> None:
    for place in PLACES:
        want = np.interp(np.log(samples), np.log(table.samples), getattr(table, place))
        assert table.at(samples, place) == pytest.approx(want, rel=1e-9, abs=1e-12)


@given(table=tables())
def test_accuracy_at_and_beyond_grid_points(table: AccuracyTable) -> None:
    for place in PLACES:
        column = getattr(table, place)
        assert tuple(table.at(samples, place) for samples in table.samples) == column
        assert table.at(table.samples[0] / 7, place) == column[0]
        assert table.at(table.samples[-1] * 7, place) == column[-1]


@pytest.mark.parametrize(
    ("samples", "place", "want"),
    [
        (1, "device", 0.5),
        (100, "device", 0.5),
        (1000, "device", 0.6),
        (10**4, "device", 0.7),
        (10**9, "server", 0.9),
    ],
)
def test_accuracy_by_hand(samples: int, place: Place, want: float) -> None:
    table = AccuracyTable(samples=(100, 10**4), device=(0.5, 0.7), server=(0.8, 0.9))
    assert table.at(samples, place) == pytest.approx(want, rel=1e-12)


# files -----------------------------------------------------------------------------------------


@given(instance=instances())
@settings(max_examples=200, deadline=None)
def test_round_trip(instance: Instance, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.json"
    write_instance(instance, path)
    again = read_instance(path)
    assert again == instance
    assert again.to_bytes() == instance.to_bytes() == path.read_bytes()
    assert again.sha256 == instance.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_file_has_one_line_per_user(instance: Instance) -> None:
    twice = instance.model_copy(
        update={"users": [instance.users[0], instance.users[0].model_copy(update={"name": "u1"})]}
    )
    lines = twice.to_bytes().decode().splitlines()
    assert [line for line in lines if '"u0"' in line or '"u1"' in line] == lines[-2:]
    assert "null" not in twice.to_bytes().decode()


def test_byte_order_mark_is_accepted(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "bom.json"
    path.write_bytes(b"\xef\xbb\xbf" + instance.to_bytes())
    assert read_instance(path) == instance


def test_written_over_the_old_file(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text("old")
    write_instance(instance, path)
    assert read_instance(path) == instance
    assert os.listdir(tmp_path) == ["one.json"]


@pytest.mark.parametrize("step", ["replace", "fsync", "chmod"])
@pytest.mark.parametrize(
    ("stop", "raised"),
    [
        (OSError(28, "No space left on device"), InputError),
        (OSError("odd"), InputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["full disk", "odd error", "Ctrl-C"],
)
def test_failed_write_leaves_the_old_file(
    instance: Instance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    stop: BaseException,
    raised: type[BaseException],
) -> None:
    def fail(*_: Any) -> None:
        raise stop

    path = tmp_path / "one.json"
    path.write_text("old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(raised) as caught:
        write_instance(instance, path)
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["one.json"]
    if raised is InputError:
        reason = getattr(stop, "strerror", None) or str(stop)
        assert only_line(caught, path) == f"cannot be written: {reason}"


def test_write_into_a_missing_folder(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "one.json"
    with pytest.raises(InputError) as caught:
        write_instance(instance, path)
    assert only_line(caught, path) == "cannot be written: No such file or directory"


def test_write_onto_a_folder(instance: Instance, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        write_instance(instance, tmp_path)
    assert only_line(caught, tmp_path) == "cannot be written: Is a directory"
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """As /dev/stdout and /dev/null, which root could replace by a plain file."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomic(path, b"data")
        assert os.read(reader, 10) == b"data"
    finally:
        os.close(reader)
    assert path.is_fifo()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("missing.json", "no such file"),
        ("folder", "is a folder; name a file"),
        ("file/below", "cannot be read: Not a directory"),
        ("n" * 300, "cannot be read: File name too long"),
    ],
)
def test_unreadable_paths(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        read_instance(tmp_path / name)
    assert only_line(caught, tmp_path / name) == line


def test_null_byte_in_a_path(instance: Instance) -> None:
    for touch in (read_instance, lambda path: write_instance(instance, path)):
        with pytest.raises(InputError) as caught:
            touch("a\0b")
        assert only_line(caught, "a\\x00b") == "is no file name; must not hold a null byte"


def test_message_is_printable_whatever_the_names() -> None:
    text = '{"format": "dtkd-opt/instance/1", "a\\nb\\u001b\\ud800\\u2028": 1}'
    with pytest.raises(InputError) as caught:
        validate(Instance, parse_json(text.encode(), "odd\nname\udcff"), "odd\nname\udcff")
    message = str(caught.value)
    assert all(line.startswith("odd\\nname\\udcff: ") for line in message.split("\n"))
    assert message.replace("\n", "").isprintable()


# random damage ---------------------------------------------------------------------------------

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
        table = build_options(instance)
    except InfeasibleError as error:
        assert_plain(error)
    else:
        for numbers in (table.needs, table.capacity, table.device_delay_s, table.uplink_snr_hz):
            assert np.isfinite(numbers).all()
        assert (table.capacity > 0).all()
        assert (table.uplink_snr_hz > 0).all()


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

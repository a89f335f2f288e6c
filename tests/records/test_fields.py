"""Records built in Python: what is taken, what is refused in which words, and checked copies."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import dtkd_opt as do
from dtkd_opt.records.fields import Record
from tests.support.instances import small_instance, user
from tests.support.paths import INSTANCES
from tests.support.strategies import instances

USER: dict[str, Any] = {
    "samples": 400, "fresh_fraction": 0.2, "cpu_hz": 1.4e9, "tx_power_w": 0.2, "kappa": 1e-28,
    "channel_gain": [1e-11, None],
}  # fmt: skip
TABLE = {"samples": [100, 1000], "device": [0.7, 0.8], "server": [0.72, 0.83]}
RECORDS = (do.User, do.Server, do.Model, do.Task, do.AccuracyTable, do.Instance, do.Solution)
METHODS = (do.Price, do.Exact, do.QLearning, do.DQN, do.Greedy, do.HighsSettings)


def fault(make: Any, *args: Any, **fields: Any) -> str:
    with pytest.raises(do.InputError) as caught:
        make(*args, **fields)
    return str(caught.value)


# what is taken -----------------------------------------------------------------------------------


def test_an_instance_as_the_readme_builds_it() -> None:
    server = do.Server(
        "edge", uplink_hz=2e6, downlink_hz=2e6, cpu_hz=4e10, tx_power_w=20, noise_w_per_hz=4e-21
    )
    instance = do.Instance(
        name="mine",
        seconds_per_error=100,
        task=do.Task(
            epochs=5, bits_per_sample=6272, bits_per_label=320, teacher_cycles_per_sample=1.2e6
        ),
        servers=[server],
        models=do.shipped_models("fashion-mnist"),
        users=[do.User("phone-1", **USER | {"channel_gain": [1e-11]})],
    )
    assert instance.format == "dtkd-opt/instance/1"
    assert instance.servers == (server,)
    result = do.solve(instance)
    assert do.check(instance, result) == []


@pytest.mark.parametrize(
    "gains",
    [
        (1e-11, None),
        (np.float64(1e-11), None),
        np.array([1e-11, np.nan]),
        np.array([1e-11, None], object),
        np.array([np.float64(1e-11), np.nan]).reshape(2),
    ],
)
def test_sequences_and_arrays_count_as_lists(gains: Any) -> None:
    assert do.User("u", **USER | {"channel_gain": gains}) == do.User("u", **USER)


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint8, np.array])
def test_numbers_of_numpy_count_as_pythons(kind: Any) -> None:
    made = do.User("u", **USER | {"samples": kind(40), "tx_power_w": kind(2)})
    assert (made.samples, made.tx_power_w) == (40, 2.0)
    assert (type(made.samples), type(made.tx_power_w)) == (int, float)


@settings(max_examples=40, deadline=None)
@given(instance=instances())
def test_what_python_builds_is_what_its_file_says(
    tmp_path_factory: pytest.TempPathFactory, instance: do.Instance
) -> None:
    file = tmp_path_factory.mktemp("built") / "i.json"
    fields = {key: value for key, value in dict(instance).items() if key != "format"}
    people = [do.User(**dict(one)) for one in instance.users]
    built = do.Instance(**fields | {"users": people})
    do.write_instance(built, file)
    assert do.read_instance(file) == built == instance
    arrays = [
        do.User(**dict(one) | {"channel_gain": np.array(one.channel_gain, float)})
        for one in instance.users
    ]
    assert built.replace(users=arrays) == built.replace(users=instance.users) == built


# what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"samples": 0}, "samples: must be at least 1, got 0"),
        ({"samples": True}, "samples: must be an int, got True"),
        ({"samples": np.bool_(True)}, "samples: must be an int, got True"),
        ({"samples": np.float64(3)}, "samples: must be an int, got 3.0"),
        ({"cpu_hz": "fast"}, "cpu_hz: must be a number, got 'fast'"),
        ({"cpu_hz": np.float64("nan")}, "cpu_hz: must be a finite number, got nan"),
        ({"channel_gain": 1e-11}, "channel_gain: must be a list in [ ], got 1e-11"),
        ({"channel_gain": np.array([-1, 1])}, "channel_gain[0]: must be greater than 0, got -1"),
        ({"speed": 3}, "speed: is not a known key; remove or rename it"),
        ({"cpu_ghz": 3}, "cpu_ghz: is not a known key; did you mean cpu_hz?"),
    ],
)  # fmt: skip
def test_wrong_values_are_told_in_one_line(change: dict[str, Any], words: str) -> None:
    assert fault(do.User, "phone-1", **USER | change) == f'User "phone-1": {words}'
    assert fault(do.User("phone-1", **USER).replace, **change) == f'User "phone-1": {words}'


def test_each_fault_has_its_line() -> None:
    assert fault(do.Task, epochs=0, bits_per_sample=-1.0).splitlines() == [
        "Task: epochs: must be at least 1, got 0",
        "Task: bits_per_sample: must be greater than 0, got -1.0",
        "Task: bits_per_label: is missing; must be given",
        "Task: teacher_cycles_per_sample: is missing; must be given",
    ]


def test_only_a_name_is_positional() -> None:
    for make in (lambda: do.User("a", "b"), lambda: do.Task(5), lambda: do.User("a", name="a")):
        with pytest.raises(TypeError, match="fields are keywords"):
            make()


def test_only_records_with_a_name_speak_of_it() -> None:
    with pytest.raises(TypeError, match=r"^Exact: fields are keywords$"):
        do.Exact(False)  # type: ignore[misc]


def test_equal_records_have_equal_hashes_also_with_dictionaries() -> None:
    for options in ({}, {"mip_heuristic_effort": 0.1, "lists": [1]}):
        first, second = (do.Exact(highs=do.HighsSettings(options=options)) for _ in range(2))
        assert (first, hash(first)) == (second, hash(second))
    assert len({do.Exact(), do.Exact(fixing=False), do.Exact()}) == 2


@pytest.mark.parametrize("record", RECORDS + METHODS, ids=lambda record: record.__name__)
def test_signatures_are_the_fields(record: type[Record]) -> None:
    parameters = inspect.signature(record).parameters
    assert set(parameters) == set(record.model_fields) - {"format"}
    for key, parameter in parameters.items():
        required = record.model_fields[key].is_required()
        assert (parameter.default is inspect.Parameter.empty) == required
        positional = parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        assert positional == (key == "name")


def test_a_record_is_frozen_and_says_how_to_change_it() -> None:
    instance = small_instance(user("a"))
    with pytest.raises(AttributeError, match=r"frozen; \.replace\(name=\.\.\.\) makes"):
        instance.name = "other"  # type: ignore[misc]
    assert instance.name == "small"


def test_an_instance_of_many_users_is_shown_in_one_line() -> None:
    instance = do.read_instance(INSTANCES / "n40-s3.json")
    assert str(instance) == repr(instance)
    assert repr(instance) == '<Instance "n40-s3": 40 users, 3 servers, 6 models>'


# changed copies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("copy", ["replace", "model_copy"])
def test_a_changed_copy_is_checked(copy: str) -> None:
    instance = small_instance(user("a"), user("b"))

    def change(**changes: Any) -> do.Instance:
        if copy == "replace":
            return instance.replace(**changes)
        return instance.model_copy(update=changes)

    assert change(seconds_per_error=np.int64(5)).seconds_per_error == 5.0
    assert (
        change(users=[user("c")]).users
        == change(users=instance.users[:1].replace(name=["c"])).users
    )
    start = 'Instance "small": '
    assert (
        fault(change, seconds_per_error=-5)
        == f"{start}seconds_per_error: must be at least 0, got -5"
    )
    assert fault(change, users=[user("a")] * 2) == (
        f'{start}users[1].name: must be unique, "a" is used before'
    )
    assert fault(change, speed=5) == f"{start}speed: is not a known key; remove or rename it"
    assert fault(change, format="dtkd-opt/solution/1").startswith(f"{start}format: must be")


def test_a_changed_copy_has_a_hash_of_its_own() -> None:
    instance = do.read_instance(INSTANCES / "n5.json")
    assert instance.model_copy().sha256 == instance.sha256
    assert instance.replace(seconds_per_error=7.0).sha256 != instance.sha256
    assert instance.replace(seconds_per_error=instance.seconds_per_error) == instance


# files stay strict -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["instance", "solution", "calibration", "certificate"])
def test_a_file_without_its_format_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"name": "x"}')
    words = fault(getattr(do, f"read_{kind}"), tmp_path / "x.json")
    assert words.endswith("x.json: format: is missing; must be given")

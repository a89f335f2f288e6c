"""Instance records and files: what is valid comes back unchanged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import dtkd_opt as do
from dtkd_opt.records.instance import (
    Instance,
    read_instance,
    write_instance,
)
from tests.support.strategies import instances

USES: dict[str, Callable[..., Any]] = {  # of an instance, a solution, a certificate and a file
    "solve": lambda i, *_: do.solve(i),
    "build_options": lambda i, *_: do.build_options(i),
    "check": lambda i, s, *_: do.check(i, s),
    "certify": lambda i, s, *_: do.certify(i, s),
    "verify": lambda i, _, c, __: do.verify(i, c),
    "evaluate": lambda i, *_: do.evaluate(i, do.Plan(*[[]] * 7)),
    "pareto": lambda i, *_: do.pareto(i),
    "Planner": lambda i, *_: do.Planner(i),
    "export": lambda i, _, __, file: do.export(i, file),
    "write_instance": lambda i, _, __, file: do.write_instance(i, file),
    "local_only": lambda i, *_: do.local_only(i),
    "plan_fedavg": lambda i, *_: do.plan_fedavg(i),
    "federate": lambda i, s, *_: do.federate(i, s),
}


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


# --- records


def test_records_are_frozen(instance: Instance) -> None:
    accuracy = instance.models[0].accuracy
    for record in (instance, instance.task, instance.servers[0], instance.models[0], accuracy):
        with pytest.raises(AttributeError, match="frozen"):
            setattr(record, next(iter(type(record).model_fields)), "other")
    with pytest.raises(AttributeError, match="frozen"):
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
    changed = read.replace(seconds_per_error=1.0)
    assert changed.sha256 == hashlib.sha256(changed.to_bytes()).hexdigest() != read.sha256


# --- files


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
    twice = instance.replace(users=[instance.users[0], instance.users[0].replace(name="u1")])
    lines = twice.to_bytes().decode().splitlines()
    assert [line for line in lines if '"u0"' in line or '"u1"' in line] == lines[-2:]
    assert "null" not in twice.to_bytes().decode()


@pytest.mark.parametrize("wrong", [3, None, "n5.json"])
@pytest.mark.parametrize("name", USES)
def test_what_is_no_instance_is_told_in_words(name: str, wrong: Any, tmp_path: Path) -> None:
    solution = do.solve(do.generate_instance(1), "greedy").solution
    certificate = do.certify(do.generate_instance(1), solution)
    with pytest.raises(do.UsageError, match=r"^instance must be an Instance: read_instance\("):
        USES[name](wrong, solution, certificate, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_what_is_no_certificate_is_told_in_words(instance: Instance) -> None:
    with pytest.raises(do.UsageError, match=r"certificate must be a Certificate: .*, got 3"):
        do.verify(instance, 3)  # type: ignore[arg-type]


def test_byte_order_mark_is_accepted(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "bom.json"
    path.write_bytes(b"\xef\xbb\xbf" + instance.to_bytes())
    assert read_instance(path) == instance

"""Certificates of changed instances are refused, loosened ones accepted, garbage named."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.records.users import Users
from tests.support.certificates import root_certificate
from tests.support.mutants import (
    BASES,
    INSTANCES,
    Json,
    Mutant,
    base,
    edited,
    faults_of,
    leaves,
    refreshed,
    splits,
    true_cost,
)
from tests.support.verifying import unchecked

# --- the instance changes under the certificate ---


def changed_instances(
    instance: do.Instance, data: Json, rng: np.random.Generator
) -> Iterator[tuple[str, do.Instance]]:
    """Instances of which the certificate is no longer true."""
    servers = {server.name: s for s, server in enumerate(instance.servers)}
    used = {row["server"] for row in data["incumbent"] if row["place"] == "server"}
    for s, server in enumerate(instance.servers):
        if server.name not in used:
            continue
        for key in ("uplink_hz", "downlink_hz", "cpu_hz"):
            for by in (0.99, 1.01):
                update = {key: getattr(server, key) * by}
                edge = [*instance.servers]
                edge[s] = server.replace(**update)
                yield f"{key} x {by}", instance.replace(servers=tuple(edge))
    for n in rng.permutation(len(instance.users))[:4]:
        one, row = instance.users[n], data["incumbent"][n]
        at = servers[row["server"]]
        gains = [
            tuple(g and g * (by if s == at else 1) for s, g in enumerate(one.channel_gain))
            for by in (0.99, 1.01)
        ]
        changes: list[Json] = [{"channel_gain": gain} for gain in gains]
        changes += [{"samples": one.samples + 10}, {"samples": one.samples - 10}]
        changes += [{"deadline_s": 1e-3}, {"min_accuracy": 0.999}]
        changes += [{"energy_j": 1e-9}, {"tx_power_w": one.tx_power_w * 0.9}]
        for change in changes:
            if "energy_j" in change and row["place"] == "device" and one.kappa == 0:
                continue
            if "tx_power_w" in change and row["place"] == "device":
                continue
            users = [*instance.users]
            users[n] = one.replace(**change)
            yield str(change), unchecked(instance, users=Users.from_records(users))


@pytest.mark.parametrize("name", BASES)
def test_other_instances_are_refused(name: str, tmp_path: Path) -> None:
    """By their hash, and if that is adapted because the claims are not true of them."""
    instance, text = base(name, splits=0)  # each change makes the plan or the root untrue
    data = json.loads(text)
    count = 0
    for what, other in changed_instances(instance, data, np.random.default_rng(1)):
        count += 1
        hashed = faults_of(other, data, tmp_path)
        assert hashed == ["instance_sha256: is of another file; certify this instance again"]
        adapted = faults_of(other, data | {"instance_sha256": other.sha256}, tmp_path)
        assert adapted, what
    assert count >= 30


# --- truthful loosenings ---


def loosened(data: Json, instance: do.Instance, rng: np.random.Generator) -> Iterator[Mutant]:
    for by in (1e-15, 1e-9, 1e-3, 0.5):
        yield "bound lower", refreshed(data | {"bound": data["bound"] * (1 - by)})
        yield "objective higher", refreshed(data | {"objective": data["objective"] * (1 + by)})
        yield "gap higher", data | {"gap": data["gap"] + by}
    for v in leaves(data):
        lower = edited(data, "tree", v, "bound", value=lambda old: old - abs(old) * 1e-4)
        lower["bound"] = min(lower["bound"], lower["tree"][v]["bound"])
        yield "leaf lower", refreshed(lower)
        size = len(data["tree"])
        node = data["tree"][v]
        user = int(rng.integers(len(instance.users)))
        split = {"user": user, "options": [[0, "server", 0]], "inside": size, "outside": size + 1}
        deeper = edited(data, "tree", v, value=split)
        yield "leaf split", deeper | {"tree": [*deeper["tree"], node, node]}
    for v in splits(data):
        yield "options twice", edited(data, "tree", v, "options", value=lambda old: old + old[::-1])
    yield "prices not used", data | {"prices": [*data["prices"], data["prices"][0]]}
    slower = edited(data, "incumbent", 0, "cpu_hz", value=lambda old: old * 0.99)
    cost = true_cost(slower, instance)
    if math.isfinite(cost):
        yield "slower plan", refreshed(slower | {"objective": cost * (1 + 1e-12)})
    yield "other version", data | {"version": "something else"}


@pytest.mark.parametrize("name", BASES)
def test_loosened_certificates_are_accepted(name: str, tmp_path: Path) -> None:
    instance, text = base(name, splits=4)
    count = 0
    for what, mutant in loosened(json.loads(text), instance, np.random.default_rng(3)):
        count += 1
        assert faults_of(instance, mutant, tmp_path) == [], what
    assert count >= 27


def test_the_root_of_a_larger_instance(tmp_path: Path) -> None:
    """Prices of n50, each scaled either way, prove less than the best."""
    instance = do.read_instance(INSTANCES / "n50.json")
    do.write_certificate(root_certificate(instance), tmp_path / "root.json")
    data = json.loads((tmp_path / "root.json").read_text())
    assert faults_of(instance, data, tmp_path) == []
    for p in range(3):
        for by in (0.3, 0.8, 0.999, 1.001, 1.25, 3.0):
            mutant = edited(data, "prices", 0, p, 0, value=lambda old, by=by: old * by)
            faults = faults_of(instance, mutant, tmp_path)
            assert len(faults) == 1
            assert faults[0].startswith("tree[0]: prices prove only")


# --- garbage ---


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 30)
    | st.integers()
    | st.floats()
    | st.sampled_from([1e308, -1e308, 1e-320, 10**400, "device", "server", "edge-0", "", "c.json"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["prices", "bound", "user", "options"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def places_in(data: Any) -> list[tuple[Any, ...]]:
    """The path to everything inside a JSON value."""
    found: list[tuple[Any, ...]] = []
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        found.append((key,))
        if isinstance(value, dict | list):
            found += [(key, *path) for path in places_in(value)]
    return found


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drawn=st.data())
def test_garbage_is_a_fault_never_another_exception(drawn: st.DataObject, tmp_path: Path) -> None:
    instance, text = base("n5")
    data = json.loads(text)
    for _ in range(drawn.draw(st.integers(1, 4))):
        places = places_in(data)
        if not places:
            break
        path = drawn.draw(st.sampled_from(places))
        data = edited(data, *path, value=drawn.draw(VALUES))
    faults = faults_of(instance, data, tmp_path)
    assert all(isinstance(fault, str) and fault for fault in faults)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(start=st.integers(0, 5000), length=st.integers(0, 200), junk=st.text(max_size=5))
def test_torn_files(start: int, length: int, junk: str, tmp_path: Path) -> None:
    instance, text = base("n5")
    faults_of(instance, text[:start] + junk.encode("utf-8", "replace").decode()
              + text[start + length :], tmp_path)  # fmt: skip

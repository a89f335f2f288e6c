"""Certificates as JSON, to change them: what the tests of false and loosened ones share."""

from __future__ import annotations

import copy
import functools
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.records.certificate import gap_above
from dtkd_opt.records.plan import PlanRow, PlanRows
from tests.support.certificates import tree_certificate
from tests.support.paths import INSTANCES as INSTANCES

pytest.importorskip("flint")

BASES = ("n10", "n10-s3", "n20-deadlines", "n20-energy", "n5")
Json = dict[str, Any]
Mutant = tuple[str, Json]


@functools.cache
def base(name: str, splits: int = 8) -> tuple[do.Instance, str]:
    """An instance and the text of a certificate with a tree of so many splits."""
    instance = do.read_instance(INSTANCES / f"{name}.json")
    certificate = tree_certificate(instance, splits, seed=len(name))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "c.json"
        do.write_certificate(certificate, file)
        return instance, file.read_text(encoding="utf-8")


def faults_of(instance: do.Instance, data: Any, folder: Path) -> list[str]:
    """What is wrong with a certificate's JSON, read from a file."""
    file = folder / "c.json"
    file.write_text(json.dumps(data) if not isinstance(data, str) else data)
    try:
        certificate = do.read_certificate(file)
    except do.InputError as error:
        return list(error.faults) or ["raised without a reason"]
    return do.verify(instance, certificate)


def edited(data: Json, *path: Any, value: Any) -> Json:
    """A copy with one entry replaced; `value` may be a function of the old one."""
    new = copy.deepcopy(data)
    *way, last = path
    target = functools.reduce(lambda at, key: at[key], way, new)
    target[last] = value(target[last]) if callable(value) else value
    return new


def leaves(data: Json) -> list[int]:
    return [v for v, node in enumerate(data["tree"]) if "prices" in node]


def splits(data: Json) -> list[int]:
    return [v for v, node in enumerate(data["tree"]) if "user" in node]


def refreshed(data: Json) -> Json:
    """The certificate with the gap that its objective and bound have."""
    return data | {"gap": gap_above(data["objective"], data["bound"])}


def true_cost(data: Json, instance: do.Instance) -> float:
    """J [s] of the file's plan by `evaluate`, inf if it breaks a limit."""
    rows = data["incumbent"]
    plan = PlanRows.from_records([PlanRow(**row) for row in rows])
    evaluation = do.evaluate(instance, plan.to_plan(instance))
    return math.inf if evaluation.violations else evaluation.objective


def damaged(data: Json, rng: np.random.Generator) -> Mutant:
    """A certificate with one thing wrong, or only loosened: which, the truth must tell."""
    return DAMAGES[rng.integers(len(DAMAGES))](copy.deepcopy(data), rng)


def _nudged_number(data: Json, rng: np.random.Generator) -> Mutant:
    """Any number, by 1e-9 to 10 % up or down."""
    spots = list(_numbers(data))
    *way, last = spots[rng.integers(len(spots))]
    by = _nudge(rng)
    holder = functools.reduce(lambda at, key: at[key], way, data)
    holder[last] *= by
    return f"{'.'.join(map(str, [*way, last]))} x {by!r}", data


def _nudged_claims(data: Json, rng: np.random.Generator) -> Mutant:
    """The bound and those of all leaves, with the gap that they would have."""
    by = _nudge(rng)
    data["bound"] *= by
    for v in leaves(data):
        data["tree"][v]["bound"] *= by
    return f"bounds x {by!r}", refreshed(data)


def _case_left_out(data: Json, rng: np.random.Generator) -> Mutant:
    """A split that becomes the better of its sides, or lists an option less."""
    v = int(rng.choice(splits(data)))
    node = data["tree"][v]
    if len(node["options"]) > 1 and rng.random() < 0.5:
        node["options"].pop(int(rng.integers(len(node["options"]))))
        return f"option of tree[{v}] left out", data
    sides = [data["tree"][node[key]] for key in ("inside", "outside")]
    kept = max((side for side in sides if "bound" in side), key=lambda s: s["bound"], default=None)
    if kept is not None:
        for key in ("inside", "outside"):
            if "bound" in data["tree"][node[key]]:
                data["tree"][node[key]] = dict(kept)
    return f"case of tree[{v}] left out", _with_lowest_bound(data)


def _users_swapped(data: Json, rng: np.random.Generator) -> Mutant:
    """Two users' plans, or the user of a split."""
    rows = data["incumbent"]
    a, b = rng.choice(len(rows), 2, replace=False).tolist()
    if rng.random() < 0.5:
        rows[a]["name"], rows[b]["name"] = rows[b]["name"], rows[a]["name"]
        rows[a], rows[b] = rows[b], rows[a]
        return f"plans of {a} and {b} swapped", data
    v = int(rng.choice(splits(data)))
    data["tree"][v]["user"] = int(rng.integers(len(rows)))
    return f"another user in tree[{v}]", data


DAMAGES = (_nudged_number, _nudged_number, _nudged_claims, _case_left_out, _users_swapped)


def _nudge(rng: np.random.Generator) -> float:
    return float(1 + rng.choice([-1, 1]) * 10 ** rng.uniform(-9, -1))


def _numbers(at: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a file has doubles."""
    items = at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ()
    for key, value in items:
        if isinstance(value, float):
            yield (*way, key)
        yield from _numbers(value, (*way, key))


def _with_lowest_bound(data: Json) -> Json:
    data["bound"] = min(data["objective"], *(data["tree"][v]["bound"] for v in leaves(data)))
    return refreshed(data)

"""Certificates as JSON, to change them: what the tests of false and loosened ones share."""

from __future__ import annotations

import copy
import functools
import json
import math
from pathlib import Path
from typing import Any

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
    path = Path("/nonexistent")
    written: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "dtkd_opt.records.certificate.write_atomic", lambda _, data: written.append(data)
        )
        do.write_certificate(certificate, path)
    return instance, written[0].decode()


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

"""The JSON Schemas of files: what is shipped or written fits, what is wrong does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dtkd_opt as do
from dtkd_opt.records.schema import File
from tests.support.paths import INSTANCES

jsonschema = pytest.importorskip("jsonschema")


def faults(file: File, data: Any) -> list[str]:
    schema = do.json_schema(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors(data)]


@pytest.mark.parametrize("path", sorted(INSTANCES.glob("n*.json")), ids=lambda path: path.stem)
def test_shipped_instances_fit(path: Path) -> None:
    data = json.loads(path.read_bytes())
    assert path.stat().st_size > 500_000 or faults("instance", data) == []  # seconds for the large


def test_users_are_objects_or_a_parquet_file() -> None:
    data = json.loads((INSTANCES / "n5.json").read_bytes())
    assert faults("instance", data | {"users": "n5.parquet"}) == []
    for users in ([], ["u0"], "../n5.parquet", "n5.csv", [{**data["users"][0], "samples": 0}]):
        assert faults("instance", data | {"users": users})
    columns = do.json_schema("instance")["properties"]["users"]["anyOf"][0]
    assert (columns["type"], columns["items"]) == ("array", {"$ref": "#/$defs/User"})


@pytest.mark.parametrize("key", ["format", "name", "users", "task"])
def test_what_must_be_there_is_required(key: str) -> None:
    data = json.loads((INSTANCES / "n5.json").read_bytes())
    del data[key]
    assert faults("instance", data)


def test_written_files_fit(tmp_path: Path) -> None:
    instance = do.read_instance(INSTANCES / "n5.json")
    result = do.solve(instance)
    do.write_solution(result, tmp_path / "solution.json")
    do.write_certificate(do.certify(instance, result), tmp_path / "certificate.json")
    do.write_calibration(do.shipped_calibration(), tmp_path / "accuracy.json")
    kinds: tuple[File, ...] = ("solution", "certificate", "accuracy")
    for kind in kinds:
        data = json.loads((tmp_path / f"{kind}.json").read_bytes())
        assert faults(kind, data) == []
        assert faults(kind, data | {"format": "dtkd-opt/instance/1"})
        assert faults(kind, data | {"more": 1})


def test_a_tree_is_of_leaves_and_splits() -> None:
    defs = do.json_schema("certificate")["$defs"]
    assert {"LeafNode", "SplitNode", "PlanRow"} <= set(defs)


def test_an_unknown_kind_of_file() -> None:
    with pytest.raises(do.UsageError, match=r"kinds of file are instance, .* got 'model'"):
        do.json_schema("model")  # type: ignore[arg-type]

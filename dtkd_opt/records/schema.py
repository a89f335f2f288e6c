"""JSON Schemas of the files, made from the records that read them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic.json_schema import GenerateJsonSchema

from dtkd_opt.errors import UsageError
from dtkd_opt.records.arguments import shown
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.records.certificate import CertificateFile
from dtkd_opt.records.fields import Record
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.solution import Solution

File = Literal["instance", "solution", "certificate", "accuracy"]
_RECORDS: dict[str, type[Record]] = {
    "instance": Instance,
    "solution": Solution,
    "certificate": CertificateFile,
    "accuracy": Calibration,
}
# may be in a Parquet file in the same folder, which the JSON file then names
_COLUMNS = {"instance": "users", "solution": "users", "certificate": "incumbent"}


def json_schema(file: File) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a kind of file.

    What holds between several values, such as that names are unique, is not in it.

    Parameters
    ----------
    file
        "instance", "solution", "certificate" or "accuracy".

    Returns
    -------
    dict
        As ``json.dumps`` takes it.

    Raises
    ------
    UsageError
        When there is no such kind of file.
    """
    if not isinstance(file, str) or file not in _RECORDS:
        raise UsageError(f"kinds of file are {', '.join(_RECORDS)}, got {shown(file)}")
    schema = _RECORDS[file].model_json_schema()
    properties: dict[str, Any] = schema["properties"]
    del properties["format"]["default"]
    schema["required"].insert(0, "format")
    if key := _COLUMNS.get(file):
        if properties[key].pop("minLength", None):  # as pydantic has it for columns
            properties[key]["minItems"] = 1
        named = {"type": "string", "pattern": r"^[^/\\:]+\.parquet$"}
        properties[key] = {"anyOf": [properties[key], named], "title": key.capitalize()}
    for part in (schema, *schema["$defs"].values()):  # what it is, not how to make it
        if "description" in part:
            part["description"] = part["description"].split("\n\n")[0].replace("\n", " ")
    title = f"dtkd-opt {file} file"
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": title}

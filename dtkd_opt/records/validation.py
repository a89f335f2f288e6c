"""Records from parsed data; their faults in plain words, a line each."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dtkd_opt.errors import InputError

Record = TypeVar("Record", bound=BaseModel)

_RULES = {
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "less_than": "must be less than {lt:g}",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "int_type": "must be a whole number written in digits only",
    "bool_type": "must be true or false",
    "string_type": "must be a text in quotes",
    "path_type": "must be the name of a file in quotes",
    "string_unicode": "must hold whole characters, no lone \\ud800 to \\udfff",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must match {pattern}",
    "tuple_type": "must be a list in [ ]",
    "model_type": "must be an object in {{ }}",
    "model_attributes_type": "must be an object in {{ }}",
    "too_short": "must have at least one entry",
    "literal_error": "must be {expected}",
    "gain_above_one": "a path gain is at most 1; a value in dB is 10^(dB/10)",
}

_PYTHON_RULES = {  # of a record made in Python
    "int_type": "must be an int",
    "bool_type": "must be True or False",
    "string_type": "must be a str",
    "path_type": "must be a path",
    "model_type": "must be a {class_name}",
    "model_attributes_type": "must be a {class_name}",
}


def validate(record: type[Record], data: Any, source: str) -> Record:
    """`record` from parsed JSON, or InputError, a line a fault: ``users[3].samples: must be …``."""
    if not isinstance(data, dict):
        raise InputError(source, ["must be a JSON object in { }"])
    if "format" in record.model_fields and "format" not in data:  # only what Python makes has none
        raise InputError(source, ["format: is missing; must be given"])
    try:
        return record.model_validate(data)
    except ValidationError as error:
        raise InputError(source, fault_lines(error, keys=record.model_fields)) from None


def counted(count: int, plural: str) -> str:
    """`2 users`, `1 user`."""
    return f"{count} {plural if count != 1 else plural.removesuffix('s')}"


def fault_lines(
    error: ValidationError,
    prefix: tuple[int | str, ...] = (),
    keys: Collection[str] = (),
    python: bool = False,
) -> list[str]:
    """One line per fault, its path inside the file starting with `prefix`.

    `keys` are those that the record has; `python` says that it was made there, not read.
    """
    errors = error.errors(include_url=False)
    # in a file of another kind the faults of all its keys would only hide this one
    errors = [e for e in errors if e["loc"] == ("format",)] or errors
    return [line for e in errors for line in _lines(e, prefix, keys, python)]


def _lines(
    error: Any, prefix: tuple[int | str, ...], keys: Collection[str], python: bool
) -> list[str]:
    """One pydantic error as `path: rule` lines; a record's own checks carry theirs in ctx."""
    kind, ctx, value = error["type"], error.get("ctx", {}), error["input"]
    loc = (*prefix, *error["loc"])
    if kind == "faults":
        return [_join(_dotted(loc), line) for line in ctx["lines"]]
    if kind == "missing":
        return [at_path(loc, "is missing; must be given")]
    if kind == "extra_forbidden":
        return [unknown_key(loc, keys if len(loc) == 1 else ())]
    if kind == "too_short" and value:
        return []  # pydantic counts valid items only; the others have their own lines
    rules = _RULES | _PYTHON_RULES if python else _RULES
    rule = rules[kind].format(**ctx) if kind in rules else error["msg"].lower()
    rule = rule.replace("'", '"')  # as in JSON
    return [at_path(loc, f"{rule}, got {short_value(value, python)}")]


def unknown_key(loc: tuple[int | str, ...], keys: Collection[str]) -> str:
    """The fault of a key that is none of the `keys` at its place."""
    near = get_close_matches(str(loc[-1]), keys, 1)
    remedy = f"did you mean {near[0]}?" if near else "remove or rename it"
    return at_path(loc, f"is not a known key; {remedy}")


def at_path(loc: tuple[int | str, ...], fault: str) -> str:
    """The fault after its path inside the file."""
    path = _dotted(loc)
    return f"{path}: {fault}" if path else fault


def _dotted(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif re.fullmatch(r"\w{1,40}", part):
            path += f".{part}" if path else part
        else:
            path += f"[{short_value(part)}]"
    return path


def _join(prefix: str, line: str) -> str:
    return line if not prefix else f"{prefix}{'' if line.startswith('[') else '.'}{line}"


def short_value(value: Any, python: bool = False) -> str:
    """A value as the file, or Python, writes it, in at most 40 characters."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = repr(value) if python else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "…"

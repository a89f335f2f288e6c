"""Reading and writing: strict JSON in, atomic writes out, validation errors as plain lines."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
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
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number of at most 18 digits",
    "string_type": "must be a text in quotes",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must match {pattern}",
    "tuple_type": "must be a list in [ ]",
    "model_type": "must be an object in {{ }}",
    "model_attributes_type": "must be an object in {{ }}",
    "too_short": "must have at least {min_length} entries",
    "literal_error": "must be {expected}",
}


def read_bytes(path: Path) -> bytes:
    """The file's bytes; raises InputError in plain words when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(str(path), ["no such file"]) from None
    except IsADirectoryError:
        raise InputError(str(path), ["is a folder; name a file"]) from None
    except OSError as error:
        raise InputError(str(path), [f"cannot be read: {error.strerror}"]) from None


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    return hashlib.sha256(data).hexdigest()


def parse_json(data: bytes, source: str) -> Any:
    """Parse strict JSON (RFC 8259): no NaN, no key twice.

    Raises
    ------
    InputError
        One line that names the line and column of the fault.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(source, [f"is not UTF-8 text (byte {error.start})"]) from None
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        if not text.strip():
            fault = "is empty; must be a JSON object"
        elif error.pos >= len(text.rstrip()) or "Unterminated" in error.msg:
            fault = f"is cut short at {where}: the JSON does not end"
        else:
            fault = f"is not JSON at {where}: {error.msg.lower()}"
        raise InputError(source, [fault]) from None
    except RecursionError:
        raise InputError(source, ["is nested too deeply to be a file of this project"]) from None
    except ValueError as error:
        raise InputError(source, [str(error)]) from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'has the key "{twice}" twice in one object; keep one')
    return keys


def _no_constant(name: str) -> float:
    raise ValueError(f"has the value {name}, which is not JSON; must be a finite number")


def validate(record: type[Record], data: Any, source: str) -> Record:
    """`record` from parsed JSON.

    Raises
    ------
    InputError
        One line per fault, ``users[3].samples: must be …``.
    """
    if not isinstance(data, dict):
        raise InputError(source, ["must be a JSON object in { }"])
    try:
        return record.model_validate(data)
    except ValidationError as error:
        raise InputError(source, [line for e in error.errors() for line in _lines(e)]) from None


def _lines(error: Any) -> list[str]:
    """One pydantic error as `path: rule` lines; a record's own checks carry theirs in ctx."""
    path = _dotted(error["loc"])
    kind, ctx = error["type"], error.get("ctx", {})
    if kind == "faults":
        return [_join(path, line) for line in ctx["lines"]]
    if kind == "missing":
        return [f"{path}: is missing; must be given"]
    if kind == "extra_forbidden":
        return [f"{path}: is not a known key; remove or rename it"]
    rule = _RULES[kind].format(**ctx) if kind in _RULES else error["msg"].lower()
    return [f"{path}: {rule}, got {_short(error['input'])}"]


def _dotted(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _join(prefix: str, line: str) -> str:
    return line if not prefix else f"{prefix}{'' if line.startswith('[') else '.'}{line}"


def _short(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "…"


def write_atomic(path: Path, data: bytes) -> None:
    """Write so that a reader sees the old file or the new one, never a part of it.

    Raises
    ------
    InputError
        When the folder is missing or not writable, or the disk is full.
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise InputError(str(path), [f"cannot be written: {error.strerror}"]) from None

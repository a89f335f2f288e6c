"""JSON as text: strict where it is read, readable where it is written."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dtkd_opt.errors import InputError
from dtkd_opt.records.validation import at_path, short_value

_SYNTAX = {
    "Expecting value": "a value must stand here",
    "Expecting property name enclosed in double quotes": "a key in double quotes must stand here",
    "Expecting ':' delimiter": "a colon must stand here",
    "Expecting ',' delimiter": "a comma or a closing bracket must stand here",
    "Extra data": "nothing may follow the last closing bracket",
    "Invalid control character at": "a text must not hold a line break or tab; write \\n or \\t",
    "Invalid \\escape": "a backslash in a text must be written twice",
    "Invalid \\uXXXX escape": "four hexadecimal digits must follow \\u",
}


def to_json(fields: Mapping[str, Any]) -> bytes:
    """A JSON object, a line a key and a line an entry of a list: readable, and easy to compare."""
    parts = []
    for key, value in fields.items():
        text = _json_lines(value) if isinstance(value, list | tuple | Iterator) else _json(value)
        parts.append(f"{_json(key)}: {text}")
    return ("{" + ",\n ".join(parts) + "}\n").encode()


def _json_lines(items: Iterable[Any]) -> str:
    rows = ",\n  ".join(map(_json, items))
    return f"[\n  {rows}]" if rows else "[]"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def parse_json(data: bytes, source: str) -> Any:
    """Strict JSON (RFC 8259): of NaN, a key twice or bad syntax InputError says where it is."""
    reader = _Reader()
    try:
        text = data.decode("utf-8-sig")  # some editors put a byte order mark first
        value = reader.read(text)
    except UnicodeDecodeError as error:
        fault = f"must be UTF-8 text, byte {error.start} is not"
        raise InputError(source, [fault]) from None
    except json.JSONDecodeError as error:
        raise InputError(source, [_syntax_fault(error)]) from None
    except RecursionError:
        raise InputError(source, ["is nested too deeply to be a file of this project"]) from None
    if reader.invalid:
        raise InputError(source, list(_invalid_faults(value)))
    return value


def _syntax_fault(error: json.JSONDecodeError) -> str:
    text, where = error.doc, f"line {error.lineno}, column {error.colno}"
    if not text.strip():
        return "is empty; must be a JSON object in { }"
    if error.pos >= len(text.rstrip()) or "Unterminated" in error.msg:
        return f"is cut short at {where}: the JSON does not end"
    return f"is not JSON at {where}: {_SYNTAX.get(error.msg, error.msg)}"


class _Twice(dict[str, Any]):
    """A JSON object with some key more than once."""

    repeated: tuple[str, ...]


class _Reader:
    """Reads JSON and notes in `invalid` whether it holds what RFC 8259 does not allow.

    The parser does not know the path to what it reads, so the faults are looked for afterwards.
    """

    def __init__(self) -> None:
        self.invalid = False

    def read(self, text: str) -> Any:
        return json.loads(
            text,
            object_pairs_hook=self._object,
            parse_constant=self._constant,
            parse_int=_whole_number,
        )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) == len(pairs):
            return keys
        self.invalid = True
        twice = _Twice(keys)
        twice.repeated = tuple(key for key, n in Counter(k for k, _ in pairs).items() if n > 1)
        return twice

    def _constant(self, name: str) -> float:
        self.invalid = True
        return float(name)


def _whole_number(digits: str) -> int | float:
    # beyond the largest float no field takes it, and Python refuses to parse a very long one
    return int(digits) if len(digits) <= 308 else float(digits)


def _invalid_faults(root: Any) -> Iterator[str]:
    stack: list[tuple[tuple[int | str, ...], Any]] = [((), root)]
    while stack:  # no recursion: the nesting may be as deep as the parser bears
        loc, value = stack.pop()
        if isinstance(value, _Twice):
            for key in value.repeated:
                yield at_path((*loc, key), "is given more than once; keep one")
        if isinstance(value, float) and not math.isfinite(value):
            yield at_path(loc, f"must be a finite number, got {short_value(value)}")
        items: Any = value.items() if isinstance(value, dict) else ()
        items = enumerate(value) if isinstance(value, list) else items
        stack.extend([((*loc, key), item) for key, item in items][::-1])

"""Rows on disk: one JSON line each, appended as its job ends.

Rows of other jobs than those given are refused. A last line without an end, as `kill -9` may leave
it, is dropped; of two lines on one job the later counts.

The open file is locked: one program at a time works at it. The lock goes with the process, however
that ends.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic

from dtkd_opt.errors import InputError
from dtkd_opt.records.fields import Record
from dtkd_opt.records.files import read_bytes
from dtkd_opt.records.json_text import parse_json
from dtkd_opt.records.validation import validate
from dtkd_opt.runtime.jobs import RowT


class Journal(Generic[RowT]):
    """The rows of finished jobs, by their specs in `rows`, and the open file that holds them.

    Parameters
    ----------
    path
        The file, its folder made if it is not there; None: rows are held in memory only.
    row_type
        The record of a row.
    specs
        Those of all jobs.
    resume
        Whether to keep the file's rows, or to begin anew.
    advice
        What the user may do about a file that holds other jobs.

    Raises
    ------
    InputError
        When the file cannot be written or another program works at it, or when it is damaged or
        holds other jobs.
    """

    def __init__(
        self,
        path: Path | None,
        row_type: type[RowT],
        specs: Sequence[Record],
        resume: bool,
        advice: str,
    ):
        self.rows: dict[Any, RowT] = {}
        self._handle: int | None = None
        self._row_type, self._advice = row_type, advice
        if path is None:
            return
        from filelock import lock_descriptor

        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            if not lock_descriptor(self._handle, blocking=False):
                fault = "another program is at work there; let it end, or name another"
                raise InputError(str(path), [fault])
            os.ftruncate(self._handle, self._read(specs) if resume else 0)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise InputError(str(path), [f"cannot be written: {error.strerror}"]) from None
            raise

    def _read(self, specs: Sequence[Record]) -> int:
        """Take the file's rows; how many of its bytes are whole lines."""
        data = read_bytes(self.path)
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            source = f"{self.path}, line {number}"
            entry = parse_json(line, source)
            if isinstance(entry, dict) and "spec" not in entry:
                raise InputError(source, [f"is of another version; {self._advice}"])
            row = validate(self._row_type, entry, source)
            self.rows[row.spec] = row
        expected = set(specs)
        other = next((spec for spec in self.rows if spec not in expected), None)
        if other is not None:
            raise InputError(str(self.path), [f"{_difference(other, specs)}; {self._advice}"])
        return len(whole)

    def append(self, row: RowT) -> None:
        """Keep one more row, on disk before anything else is done, or raise InputError."""
        if self._handle is None:
            self.rows[row.spec] = row
            return
        line = row.model_dump_json().encode() + b"\n"
        try:
            written = os.write(self._handle, line)  # one call: Ctrl-C does not split it
            self.rows[row.spec] = row  # known before the wait in which Ctrl-C may come
            os.fsync(self._handle)
        except OSError as error:
            raise InputError(str(self.path), [f"cannot be written: {error.strerror}"]) from None
        if written < len(line):
            raise InputError(str(self.path), ["cannot be written: the disk is full"])

    def __enter__(self) -> Journal[RowT]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others work at the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _difference(other: Record, specs: Sequence[Record]) -> str:
    """How a row's spec differs from the nearest of the given ones."""
    row = _flat(other.model_dump())
    given = [_flat(spec.model_dump()) for spec in specs]
    nearest = min(given, key=lambda spec: len(_differing(row, spec)))
    differences = ", ".join(
        f"{key} {_text(row.get(key))} where now {_text(nearest.get(key))}"
        for key in _differing(row, nearest)
    )
    return f"holds other runs ({differences})"


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [key for key in one | other if one.get(key) != other.get(key)]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values under dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {}
        flat |= inner or {f"{prefix}{key}": value}
    return flat


def _text(value: object) -> str:
    return "none" if value in (None, {}) else str(value)

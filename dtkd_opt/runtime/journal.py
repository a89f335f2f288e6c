"""Rows on disk: one JSON line each, appended as its job ends.

What is there belongs to the questions asked, or the file is refused. A last line without an end,
as `kill -9` may leave it, is dropped; of two lines on one job the later counts.

The open file is locked where the system can (not on Windows): one program at a time works at it.
The lock goes with the process, however that ends.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic

from dtkd_opt.errors import InputError
from dtkd_opt.records.fields import Record
from dtkd_opt.records.files import parse_json, read_bytes, validate
from dtkd_opt.runtime.jobs import RowT


class Journal(Generic[RowT]):
    """What is known of the jobs asked for, in `runs`, and the open file that holds it.

    Parameters
    ----------
    path
        The file, its folder made if it is not there; None: rows are held in memory only.
    kind
        The record of a row.
    wanted
        What the jobs ask.
    resume
        Whether to keep what the file holds, or to begin anew.
    otherwise
        What the user may do about a file that holds other jobs.

    Raises
    ------
    InputError
        When the file cannot be written or another program works at it, or when it is damaged or
        holds jobs that are not wanted.
    """

    def __init__(
        self,
        path: Path | None,
        kind: type[RowT],
        wanted: Sequence[Record],
        resume: bool,
        otherwise: str,
    ):
        self.runs: dict[Any, RowT] = {}
        self._handle: int | None = None
        self._kind, self._otherwise = kind, otherwise
        if path is None:
            return
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            _lock(self._handle)
            os.ftruncate(self._handle, self._read(wanted) if resume else 0)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise InputError(str(path), [_why(error)]) from None
            raise

    def _read(self, wanted: Sequence[Record]) -> int:
        """Know the rows of the file; how many of its bytes are whole lines."""
        data = read_bytes(self.path)
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            source = f"{self.path}, line {number}"
            run = validate(self._kind, parse_json(line, source), source)
            self.runs[run.asked] = run
        asked_for = set(wanted)
        foreign = next((asked for asked in self.runs if asked not in asked_for), None)
        if foreign is not None:
            raise InputError(str(self.path), [f"{_refusal(foreign, wanted)}; {self._otherwise}"])
        return len(whole)

    def append(self, run: RowT) -> None:
        """Keep one more row, on disk before anything else is done.

        Raises
        ------
        InputError
            When it cannot be written, such as on a full disk.
        """
        if self._handle is None:
            self.runs[run.asked] = run
            return
        line = run.model_dump_json().encode() + b"\n"
        try:
            written = os.write(self._handle, line)  # one call: Ctrl-C does not split it
            self.runs[run.asked] = run  # known before the wait in which Ctrl-C may come
            os.fsync(self._handle)
        except OSError as error:
            raise InputError(str(self.path), [f"cannot be written: {error.strerror}"]) from None
        if written < len(line):
            raise InputError(str(self.path), ["cannot be written: the disk is full"])

    def __enter__(self) -> Journal[RowT]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others work at the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _lock(handle: int) -> None:
    try:
        import fcntl
    except ImportError:  # on Windows there is none
        return
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _why(error: OSError) -> str:
    if isinstance(error, BlockingIOError):
        return "another program is at work there; let it end, or name another"
    return f"cannot be written: {error.strerror}"


def _refusal(foreign: Record, wanted: Sequence[Record]) -> str:
    """Why a row does not belong here: what differs from the wanted one that is most like it."""
    theirs = _flat(foreign.model_dump())
    ours = min(
        (_flat(asked.model_dump()) for asked in wanted),
        key=lambda one: len(_differing(theirs, one)),
    )
    what = ", ".join(
        f"{key} {_word(theirs.get(key))} where now {_word(ours.get(key))}"
        for key in _differing(theirs, ours)
    )
    return f"holds runs that are not asked for ({what})"


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [key for key in one | other if one.get(key) != other.get(key)]


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """What is nested gets dotted keys: a refusal tells single settings."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {}
        flat |= inner or {f"{prefix}{key}": value}
    return flat


def _word(value: object) -> str:
    return "none" if value in (None, {}) else str(value)

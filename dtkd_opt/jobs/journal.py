"""Rows on disk: one JSON line each, appended as its job ends.

What is there belongs to the questions asked, or the file is refused. A last line without an end,
as `kill -9` may leave it, is dropped; of two lines on one job the later counts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic

from dtkd_opt.errors import InputError
from dtkd_opt.fields import Record
from dtkd_opt.files import parse_json, read_bytes, validate, write_atomic
from dtkd_opt.jobs import RowT


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
        When the file cannot be written, is damaged, or holds jobs that are not wanted.
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
        self.path, folder = path, path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if resume and self.path.exists():
                self._read(wanted)
            else:
                write_atomic(self.path, b"")
            self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise InputError(str(folder), [f"is no folder to write: {error.strerror}"]) from None

    def _read(self, wanted: Sequence[Record]) -> None:
        data = read_bytes(self.path)
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            source = f"{self.path}, line {number}"
            run = validate(self._kind, parse_json(line, source), source)
            self.runs[run.asked] = run
        foreign = next((asked for asked in self.runs if asked not in set(wanted)), None)
        if foreign is not None:
            raise InputError(str(self.path), [f"{_refusal(foreign, wanted)}; {self._otherwise}"])
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))

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
        if self._handle is not None:
            os.close(self._handle)


def _refusal(foreign: Record, wanted: Sequence[Record]) -> str:
    """Why a row does not belong here: what differs from the wanted one that is most like it."""
    theirs = foreign.model_dump()
    ours = min(
        (asked.model_dump() for asked in wanted),
        key=lambda asked: sum(asked[key] != value for key, value in theirs.items()),
    )
    differing = [key for key, value in theirs.items() if ours[key] != value]
    what = ", ".join(
        f"{key} {_word(theirs[key])} where now {_word(ours[key])}" for key in differing
    )
    return f"holds runs that are not asked for ({what})"


def _word(value: object) -> str:
    return "none" if value is None else str(value)

"""The runs of a comparison on disk: one JSON line each, appended as it ends.

What is there belongs to the question asked, or the folder is refused. A last line without an end,
as `kill -9` may leave it, is dropped; of two lines on one run the later counts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from dtkd_opt.compare.run import Asked, Run
from dtkd_opt.errors import InputError
from dtkd_opt.files import parse_json, read_bytes, validate, write_atomic

NAME = "runs.jsonl"


class Journal:
    """What is known of the runs asked for, in `runs`, and the open file that holds it.

    Parameters
    ----------
    folder
        Made if it is not there; None: runs are held in memory only.
    wanted
        The runs that are asked for.
    resume
        Whether to keep what the folder holds, or to begin anew.

    Raises
    ------
    InputError
        When the folder cannot be written, its file is damaged, or holds runs that are not wanted.
    """

    def __init__(self, folder: Path | None, wanted: Sequence[Asked], resume: bool):
        self.runs: dict[Asked, Run] = {}
        self._handle: int | None = None
        if folder is None:
            return
        self.path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if resume and self.path.exists():
                self._read(wanted)
            else:
                write_atomic(self.path, b"")
            self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise InputError(str(folder), [f"is no folder to write: {error.strerror}"]) from None

    def _read(self, wanted: Sequence[Asked]) -> None:
        data = read_bytes(self.path)
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            source = f"{self.path}, line {number}"
            run = validate(Run, parse_json(line, source), source)
            self.runs[run.asked] = run
        foreign = next((asked for asked in self.runs if asked not in set(wanted)), None)
        if foreign is not None:
            raise InputError(str(self.path), [_refusal(foreign, wanted)])
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))

    def append(self, run: Run) -> None:
        """Keep one more run, on disk before anything else is done.

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

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)


def _refusal(foreign: Asked, wanted: Sequence[Asked]) -> str:
    """Why a run does not belong here: what differs from the wanted one that is most like it."""
    theirs = foreign.model_dump()
    ours = min(
        (asked.model_dump() for asked in wanted),
        key=lambda asked: sum(asked[key] != value for key, value in theirs.items()),
    )
    differing = [key for key, value in theirs.items() if ours[key] != value]
    what = ", ".join(
        f"{key} {_word(theirs[key])} where now {_word(ours[key])}" for key in differing
    )
    return f"holds runs that are not asked for ({what}); name another folder, or give --fresh"


def _word(value: object) -> str:
    return "none" if value is None else str(value)

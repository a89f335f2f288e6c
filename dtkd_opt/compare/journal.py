"""The runs of a comparison on disk: one JSON line each, appended as it ends.

What is there belongs to the question asked, or the folder is refused. A last line without an end,
as `kill -9` may leave it, is dropped; of two lines on one run the later counts.

The open file is locked where the system can (not on Windows): one comparison at a time works at a
folder. The lock goes with the process, however that ends.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from dtkd_opt.compare.question import Asked
from dtkd_opt.compare.run import Run
from dtkd_opt.errors import InputError
from dtkd_opt.files import parse_json, read_bytes, validate

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
        When the folder cannot be written or another comparison works at it, or when its file is
        damaged or holds runs that are not wanted.
    """

    def __init__(self, folder: Path | None, wanted: Sequence[Asked], resume: bool):
        self.runs: dict[Asked, Run] = {}
        self._handle: int | None = None
        if folder is None:
            return
        self.path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            _lock(self._handle)
            os.ftruncate(self._handle, self._read(wanted) if resume else 0)
        except BaseException as error:
            self._close()
            if isinstance(error, OSError):
                raise InputError(str(folder), [_why(error)]) from None
            raise

    def _read(self, wanted: Sequence[Asked]) -> int:
        """Know the runs of the file; how many of its bytes are whole lines."""
        data = read_bytes(self.path)
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            source = f"{self.path}, line {number}"
            run = validate(Run, parse_json(line, source), source)
            self.runs[run.asked] = run
        asked_for = set(wanted)
        foreign = next((asked for asked in self.runs if asked not in asked_for), None)
        if foreign is not None:
            raise InputError(str(self.path), [_refusal(foreign, wanted)])
        return len(whole)

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
        self._close()

    def _close(self) -> None:
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
        return "another comparison is at work there; let it end, or name another folder"
    return f"is no folder to write: {error.strerror}"


def _refusal(foreign: Asked, wanted: Sequence[Asked]) -> str:
    """Why a run does not belong here: what differs from the wanted one that is most like it."""
    theirs = _flat(foreign.model_dump())
    ours = min(
        (_flat(asked.model_dump()) for asked in wanted),
        key=lambda one: len(_differing(theirs, one)),
    )
    what = ", ".join(
        f"{key} {_word(theirs.get(key))} where now {_word(ours.get(key))}"
        for key in _differing(theirs, ours)
    )
    return f"holds runs that are not asked for ({what}); name another folder, or give --fresh"


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

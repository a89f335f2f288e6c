"""Files by which the engine and Flower's server tell each other how the run goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dtkd_opt.federate.spec import TaskResult

_OUTCOMES, _STARTED, _ERROR = "outcomes.jsonl", "started", "error"


def append_outcome(folder: Path, row: TaskResult) -> None:
    """The server: this user is done, or has failed."""
    with (folder / _OUTCOMES).open("ab") as file:
        file.write(row.model_dump_json().encode() + b"\n")


def read_outcomes(folder: Path, known: int) -> Iterator[TaskResult]:
    """The engine: what the server has appended after the first `known` outcomes."""
    path = folder / _OUTCOMES
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    for line in whole.splitlines()[known:]:
        yield TaskResult.model_validate_json(line)


def mark_client_ended(folder: Path, task: int) -> None:
    """The engine: this client's process has ended; Flower itself would notice in a minute."""
    (folder / f"ended-{task}").touch()


def client_ended(folder: Path, task: int) -> bool:
    """The server: whether a client's process has ended."""
    return (folder / f"ended-{task}").exists()


def mark_started(folder: Path) -> None:
    """The server: it is there."""
    (folder / _STARTED).touch()


def has_started(folder: Path) -> bool:
    """The engine: whether the server is there."""
    return (folder / _STARTED).exists()


def write_error(folder: Path, words: str) -> None:
    """The server: why it gives up."""
    (folder / _ERROR).write_text(words)


def read_error(folder: Path) -> str:
    """The engine: why the server gave up; empty when it did not."""
    path = folder / _ERROR
    return path.read_text() if path.exists() else ""

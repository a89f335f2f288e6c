"""Files by which the engine and Flower's server tell each other how the run goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dtkd_opt.federate.spec import TaskResult

MEETING_S = 120.0  # for all clients to be there
_OUTCOMES = "outcomes.jsonl"


def append(folder: Path, row: TaskResult) -> None:
    """The server: this user is done, or has failed."""
    with (folder / _OUTCOMES).open("ab") as file:
        file.write(row.model_dump_json().encode() + b"\n")


def outcomes(folder: Path, known: int) -> Iterator[TaskResult]:
    """The engine: what the server has told after the first `known` outcomes."""
    path = folder / _OUTCOMES
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    for line in whole.splitlines()[known:]:
        yield TaskResult.model_validate_json(line)


def say_dead(folder: Path, task: int) -> None:
    """The engine: this client's process has ended; Flower itself would notice in a minute."""
    (folder / f"dead-{task}").touch()


def dead(folder: Path, task: int) -> bool:
    """The server: whether a client's process has ended."""
    return (folder / f"dead-{task}").exists()


def say_started(folder: Path) -> None:
    """The server: here it is."""
    (folder / "started").touch()


def started(folder: Path) -> bool:
    """The engine: whether the server is there."""
    return (folder / "started").exists()


def say_fault(folder: Path, words: str) -> None:
    """The server: why it gives up."""
    (folder / "fault").write_text(words)


def fault(folder: Path) -> str:
    """The engine: why the server gave up; empty when it did not."""
    path = folder / "fault"
    return path.read_text() if path.exists() else ""

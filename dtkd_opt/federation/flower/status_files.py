"""Files by which the engine and Flower's server report to each other how the run goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dtkd_opt.federation.user_training import UserTrainingResult

_OUTCOMES = "outcomes.jsonl"


def append_outcome(folder: Path, row: UserTrainingResult) -> None:
    """The server: this user is done, or has failed."""
    with (folder / _OUTCOMES).open("ab") as file:
        file.write(row.model_dump_json().encode() + b"\n")


def read_outcomes(folder: Path, skip: int) -> Iterator[UserTrainingResult]:
    """The engine: what the server has appended after the first `skip` outcomes."""
    path = folder / _OUTCOMES
    data = path.read_bytes() if path.exists() else b""
    for line in data.split(b"\n")[skip:-1]:
        yield UserTrainingResult.model_validate_json(line)


def started(folder: Path) -> Path:
    """Made by the server when it starts."""
    return folder / "started"


def client_ended(folder: Path, task: int) -> Path:
    """Made by the engine when a client's process has ended, as Flower itself notices it late."""
    return folder / f"ended-{task}"


def server_error(folder: Path) -> Path:
    """Written by the server when it gives up: why."""
    return folder / "error"

"""The processes that do jobs."""

from __future__ import annotations

import time

import pytest

from dtkd_opt.records.fields import Record
from dtkd_opt.runtime.jobs import Row, this_worker
from dtkd_opt.runtime.workers import workers

GROWN: list[bytes] = []


class Number(Record):
    number: int


class Counted(Row):
    spec: Number
    outcome: str


def grow(payload: int, spec: Number) -> Counted:
    """A job after which the process holds more memory."""
    GROWN.append(b"x" * payload)
    time.sleep(0.6)
    return Counted(spec=spec, outcome="done", worker=this_worker())


def test_workers_whose_memory_grows_are_replaced_without_a_word() -> None:
    """loky ends those beyond 300 MB more than at first, and warns: an error here, and a hang."""
    pytest.importorskip("psutil")  # by which loky knows
    jobs = [(200_000_000, Number(number=number)) for number in range(10)]
    with workers(2, None, grow, Counted) as run_jobs:
        rows = list(run_jobs(jobs))
    assert sorted(row.spec.number for row in rows) == list(range(10))
    assert len({row.worker for row in rows}) > 2

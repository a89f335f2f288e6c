"""The processes that do jobs, and clusters that are not there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import dtkd_opt as do
from dtkd_opt.records.fields import Record
from dtkd_opt.runtime.jobs import Row, this_worker
from dtkd_opt.runtime.workers import workers
from tests.support.calibrating import quick

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


@pytest.mark.parametrize(
    ("address", "said"), [("foo", "is no address"), ("127.0.0.1:1", "no scheduler answers")]
)
def test_without_a_cluster_nothing_is_written(
    address: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dtkd_opt.runtime.workers._TIMEOUT_S", 1.0)
    with pytest.raises(do.InputError, match=f"--dask {address}: {said}"):
        quick(tmp_path / "cache", dask=address, output=tmp_path / "new" / "t.json")
    assert list(tmp_path.iterdir()) == []

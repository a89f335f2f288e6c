"""A Dask cluster of real processes, some of which are killed while they work."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dtkd_opt.records.fields import Record
from dtkd_opt.runtime.jobs import Row, this_worker
from dtkd_opt.runtime.workers import workers
from tests.support.comparing import dask, wait_for

distributed = pytest.importorskip("distributed")
JOBS = 8


class Number(Record):
    number: int


class Noted(Row):
    spec: Number
    outcome: str

    @property
    def pid(self) -> int:
        return int(self.worker.split(":")[-1])


def note(folder: Path, spec: Number) -> Noted:
    """A job that notes in the payload, a folder, that it was begun."""
    with (folder / "begun").open("a") as file:
        file.write(f"{spec.number}\n")
    time.sleep(0.3)
    return Noted(spec=spec, outcome="done", worker=this_worker())


def deadly(folder: Path, spec: Number) -> Noted:
    """A job that, as the first, kills whoever does it."""
    if spec.number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return note(folder, spec)


class Cluster:
    """A scheduler on the loopback, and the workers that were started."""

    def __init__(self, folder: Path, stack: ExitStack):
        self.folder, self._stack, self._started = folder, stack, 0
        self.scheduler = ExitStack()
        stack.enter_context(self.scheduler)
        self.address = self.scheduler.enter_context(dask("scheduler", folder, "--port", "0"))

    def start(self, count: int, *options: str) -> None:
        """Start workers; without `--nanny` nobody starts one again."""
        options = (*(options or ("--no-nanny",)), "--nthreads", "1")
        for _ in range(count):
            self._stack.enter_context(dask("worker", self.folder, *options))
        self._started += count
        log = self.folder / "log"
        wait_for(lambda: log.read_text().count("Registered to:") == self._started)

    def holder(self) -> int:
        """The process of a worker that holds what all jobs share."""
        with distributed.Client(self.address, set_as_default=False) as client:
            pids = client.run(os.getpid)
            held = [who for key, who in client.who_has().items() if key.startswith("_hold-")]
            return int(pids[held[0][0]])


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr("dtkd_opt.runtime.cluster._LOOK_S", 0.1)
    with ExitStack() as stack:
        yield Cluster(tmp_path, stack)


def run_and(cluster: Cluster, interfere: Callable[[Noted], None]) -> list[Noted]:
    """The rows of all jobs; after the first one something happens to the cluster."""
    with workers(0, cluster.address, note, Noted) as run_jobs:
        rows = run_jobs([(cluster.folder, Number(number=number)) for number in range(JOBS)])
        first = next(rows)
        interfere(first)
        return [first, *rows]


def test_a_killed_worker_costs_only_its_runs(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Also the one that holds what all jobs share."""
    cluster.start(2)
    killed: list[int] = []

    def kill(row: Noted) -> None:
        killed.append(cluster.holder())
        os.kill(killed[0], signal.SIGKILL)

    rows = run_and(cluster, kill)
    assert {row.outcome for row in rows} == {"done"}
    assert sorted(row.spec.number for row in rows) == list(range(JOBS))
    assert {row.pid for row in rows} - {*killed}  # those who were left
    begun = Counter((cluster.folder / "begun").read_text().split())
    assert len(begun) == JOBS
    assert sum(begun.values()) <= JOBS + 2  # what it was at, and a row that had not come yet
    (told,) = [record.message for record in caplog.records if record.name.startswith("dtkd_opt")]
    assert told.endswith("is lost; its jobs are submitted again")


def test_where_the_last_worker_is_lost_another_goes_on(cluster: Cluster) -> None:
    cluster.start(1)

    def replace(row: Noted) -> None:
        os.kill(row.pid, signal.SIGKILL)
        cluster.start(1)

    rows = run_and(cluster, replace)
    assert {row.outcome for row in rows} == {"done"}
    assert len({row.pid for row in rows}) == 2
    assert sorted(row.spec.number for row in rows) == list(range(JOBS))


@pytest.mark.slow
def test_a_job_that_kills_its_workers_fails_alone(cluster: Cluster) -> None:
    cluster.start(1, "--nanny")
    jobs = [(cluster.folder, Number(number=number)) for number in range(JOBS)]
    with workers(0, cluster.address, deadly, Noted) as run_jobs:
        rows = list(run_jobs(jobs))
    assert sorted(row.spec.number for row in rows) == list(range(JOBS))
    (failed,) = [row for row in rows if row.outcome == "failed"]
    assert failed.spec.number == 0
    assert failed.reason.startswith("Dask: KilledWorker: ")


@pytest.mark.parametrize("scheduler", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_where_no_worker_comes_the_rest_has_failed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, scheduler: bool
) -> None:
    cluster.start(1)

    def end(row: Noted) -> None:
        monkeypatch.setattr("dtkd_opt.runtime.cluster._TIMEOUT_S", 1.0)
        if scheduler:
            cluster.scheduler.close()
        else:
            os.kill(row.pid, signal.SIGKILL)

    rows = run_and(cluster, end)
    assert [row.outcome for row in rows].count("failed") >= JOBS - 2
    (reason,) = {row.reason for row in rows if row.outcome == "failed"}
    lost = "its scheduler is lost: " if scheduler else "its workers are lost, and no other came"
    assert reason.startswith(f"Dask: {lost}")

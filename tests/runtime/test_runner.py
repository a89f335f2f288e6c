"""The loop over jobs: what is kept, what runs again, and the progress told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dtkd_opt.records.fields import Record
from dtkd_opt.runtime.jobs import Job, Row
from dtkd_opt.runtime.journal import Journal
from dtkd_opt.runtime.runner import run_pending


class Number(Record):
    number: int


class Counted(Row):
    spec: Number


SPECS = [Number(number=number) for number in range(4)]
JOBS: list[Job] = [(None, spec) for spec in SPECS]


class Runner:
    """Runs jobs in turn, notes them, and is interrupted before the job `stop`."""

    def __init__(self, stop: int | None = None, fail: int | None = None):
        self.stop, self.fail = stop, fail
        self.ran: list[int] = []
        self.closed = False

    def __call__(self, jobs: Sequence[Job]) -> Iterator[Any]:
        try:
            for _, spec in jobs:
                if spec.number == self.stop:
                    raise KeyboardInterrupt
                self.ran.append(spec.number)
                outcome = "failed" if spec.number == self.fail else "done"
                yield Counted(spec=spec, outcome=outcome)
        finally:
            self.closed = True


def journal(path: Path) -> Journal[Counted]:
    return Journal(path, Counted, SPECS, True, "name another")


def test_finished_jobs_are_kept_and_not_run_again(tmp_path: Path) -> None:
    path, first, second = tmp_path / "rows.jsonl", Runner(stop=2), Runner()
    with journal(path) as rows:
        assert run_pending(JOBS, rows, first)  # whether it was interrupted
    with journal(path) as rows:
        assert not run_pending(JOBS, rows, second)
        assert [*rows.rows] == SPECS
    assert (first.ran, second.ran) == ([0, 1], [2, 3])
    assert first.closed


def test_failed_jobs_run_again(tmp_path: Path) -> None:
    path, again = tmp_path / "rows.jsonl", Runner()
    with journal(path) as rows:
        run_pending(JOBS, rows, Runner(fail=1))
        run_pending(JOBS, rows, again)
        assert {row.outcome for row in rows.rows.values()} == {"done"}
    assert again.ran == [1]


def test_without_pending_jobs_nothing_is_started(tmp_path: Path) -> None:
    with journal(tmp_path / "rows.jsonl") as rows:
        run_pending(JOBS, rows, Runner())
        assert not run_pending(JOBS, rows, None)  # type: ignore[arg-type]


def test_progress_counts_the_cost_of_jobs_with_that_of_before(tmp_path: Path) -> None:
    seen: list[tuple[float, float]] = []
    cost = (10.0, 1.0, 2.0, 4.0)
    with journal(tmp_path / "rows.jsonl") as rows:
        run_pending(JOBS[:1], rows, Runner())
        run_pending(
            JOBS, rows, Runner(), lambda *done: seen.append(done), lambda spec: cost[spec.number]
        )
    assert seen == [(10, 17), (11, 17), (13, 17), (17, 17)]

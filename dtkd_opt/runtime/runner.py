"""The loop: run the jobs that have no row yet, and keep each row as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from dtkd_opt.runtime.jobs import Job, RowT, RunJobs
from dtkd_opt.runtime.journal import Journal

ProgressCallback = Callable[[float, float], None]  # how much is done, and how much there is in all
PhaseCallback = Callable[[str, float, float], None]  # the same of a phase, its name first
Cost = Callable[[Any], float]  # of a job, by its spec


def run_pending(
    jobs: Sequence[Job],
    journal: Journal[RowT],
    run_jobs: RunJobs[RowT],
    callback: ProgressCallback | None = None,
    cost: Cost = lambda spec: 1,
) -> bool:
    """Run the jobs without a row, failed ones again; whether Ctrl-C ended it.

    Parameters
    ----------
    jobs, journal, run_jobs
        All jobs in the order to run them, the rows there are, and what runs the rest, see
        :func:`dtkd_opt.runtime.workers.workers`.
    callback, cost
        `callback` is called with the cost of the finished jobs and of all; by default each costs 1.
    """
    rows = journal.rows
    pending = [job for job in jobs if job[1] not in rows or rows[job[1]].outcome == "failed"]
    total = sum(cost(spec) for _, spec in jobs)
    done = total - sum(cost(spec) for _, spec in pending)
    callback = callback or (lambda done, total: None)
    callback(done, total)
    if not pending:
        return False
    try:
        with closing(run_jobs(pending)) as finished:
            for row in finished:
                journal.append(row)
                done += cost(row.spec)
                callback(done, total)
    except KeyboardInterrupt:
        return True
    return False

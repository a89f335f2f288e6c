"""The loop: do the jobs that have no row yet, and keep each row as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from dtkd_opt.runtime.jobs import RowT
from dtkd_opt.runtime.journal import Journal
from dtkd_opt.runtime.workers import Task, Work

Follow = Callable[[float, float], None]  # how much is done, and how much there is in all
FollowPhases = Callable[[str, float, float], None]  # the same of a phase, its name first
Cost = Callable[[Any], float]  # of a job, by what it asks


def do_missing(
    tasks: Sequence[Task],
    journal: Journal[RowT],
    work: Work[RowT],
    follow: Follow | None = None,
    cost: Cost = lambda asked: 1,
) -> bool:
    """Do what is not done yet and say whether Ctrl-C ended it. Failed jobs get another chance.

    Parameters
    ----------
    tasks, journal, work
        All jobs in the order to do them, the rows there are, and who does the rest.
    follow, cost
        `follow` is called with the cost of the jobs done and of all; by default each costs 1.
    """
    known = journal.runs
    left = [task for task in tasks if task[1] not in known or known[task[1]].outcome == "failed"]
    total = sum(cost(asked) for _, asked in tasks)
    done = total - sum(cost(asked) for _, asked in left)
    follow = follow or (lambda done, total: None)
    follow(done, total)
    if not left:
        return False
    try:
        with closing(work(left)) as rows:
            for row in rows:
                journal.append(row)
                done += cost(row.asked)
                follow(done, total)
    except KeyboardInterrupt:
        return True
    return False

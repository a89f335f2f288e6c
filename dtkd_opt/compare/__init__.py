"""Compare methods: instances × methods × seeds, each run checked, kept as it ends, summed up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

from dtkd_opt.compare.journal import Journal
from dtkd_opt.compare.run import Asked, Run
from dtkd_opt.compare.tables import histories_table, judge, runs_table, summary_table
from dtkd_opt.compare.workers import Task, Work, workers
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.files import write_atomic
from dtkd_opt.instance import Instance
from dtkd_opt.interrupts import KeepOnCtrlC
from dtkd_opt.methods import method_names, method_version
from dtkd_opt.solve import check_limits

if TYPE_CHECKING:
    import pandas as pd

Follow = Callable[[int, int], None]  # runs that are done, and all


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came of a comparison, in the order asked: instance, method, seed."""

    records: tuple[Run, ...]
    interrupted: bool

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run; its columns are those of runs.csv."""
        return runs_table(self.records)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row for each instance and method; its columns are those of summary.csv."""
        return summary_table(self.runs)

    @cached_property
    def histories(self) -> pd.DataFrame:
        """One row whenever a run's bound, plan or phase changed."""
        return histories_table(self.records)


def compare(
    instances: Iterable[Instance],
    methods: Iterable[str],
    *,
    seeds: int = 3,
    gap: float = 1e-6,
    time_limit: float | None = None,
    iterations: int | None = None,
    jobs: int = -1,
    dask: str | None = None,
    output: str | Path | None = None,
    resume: bool = True,
    follow: Follow | None = None,
) -> Comparison:
    """Run every method on every instance with every seed, side by side.

    Each run is a process's work with one thread; its plan must pass :func:`check` to count. Ctrl-C
    ends the comparison with the runs that are finished.

    Parameters
    ----------
    instances, methods
        Instances of different names; names of methods, also of other packages.
    seeds
        How many: 0 to seeds - 1. Methods without randomness run as often, for the times.
    gap, time_limit, iterations
        As of :func:`solve`, for each run; both numbers finite.
    jobs
        Processes at once; -1: one a core.
    dask
        Address of a Dask scheduler whose workers do the runs instead, such as
        ``tcp://127.0.0.1:8786``.
    output
        Folder for runs.jsonl, which grows as runs end, and in the end for runs.csv, summary.csv,
        gap_over_time.svg and accuracy_delay.svg. None: nothing is written.
    resume
        Whether finished runs in `output` are kept; failed ones are run again.
    follow
        Called with how many runs are done, and how many there are.

    Returns
    -------
    Comparison

    Raises
    ------
    UsageError
        Unknown methods, or limits that mean nothing.
    InputError
        A missing extra; a folder with runs that are not asked for; no Dask cluster.
    """
    tasks = _tasks(list(instances), list(methods), seeds, gap, time_limit, iterations)
    folder = None if output is None else Path(output)
    _require("distributed" if dask else "joblib", "dask" if dask else "compare", "compare")
    if folder is not None:
        _require("matplotlib", "compare", "the figures of compare")
    jobs = _processes(jobs) if dask is None else 0
    wanted = [asked for _, asked in tasks]
    with KeepOnCtrlC() as ctrl_c:
        with workers(jobs, dask) as work, Journal(folder, wanted, resume) as journal:
            interrupted = _run(tasks, journal, work, follow)
        ctrl_c.finish()
        runs = [journal.runs[asked] for asked in wanted if asked in journal.runs]
        comparison = Comparison(tuple(judge(runs)), interrupted)
        if folder is not None and runs:
            write_comparison(comparison, folder)
    return comparison


def _tasks(
    instances: Sequence[Instance],
    methods: Sequence[str],
    seeds: int,
    gap: float,
    time_limit: float | None,
    iterations: int | None,
) -> list[Task]:
    """All runs in their order; UsageError for what means nothing."""
    check_limits(gap, time_limit, iterations)
    if not math.isfinite(gap) or not math.isfinite(time_limit or 0):
        raise UsageError("gap and time_limit must be finite; leave time_limit out for no limit")
    if not (isinstance(seeds, Integral) and seeds >= 1):
        raise UsageError(f"seeds must be a whole number of at least 1, got {seeds!r}")
    _check_names("instance", [instance.name for instance in instances])
    _check_names("method", methods)
    if unknown := [f'"{name}"' for name in methods if name not in method_names()]:
        raise UsageError(
            f"there is no method {', '.join(unknown)}; choose of {', '.join(method_names())}"
        )
    return [
        (
            instance,
            Asked(
                instance=instance.name,
                instance_sha256=instance.sha256,
                method=method,
                seed=seed,
                gap_asked=float(gap),
                time_limit_s=None if time_limit is None else float(time_limit),
                iterations=None if iterations is None else int(iterations),
                version=method_version(method),
            ),
        )
        for instance in instances
        for method in methods
        for seed in range(int(seeds))
    ]


def _check_names(kind: str, names: Sequence[str]) -> None:
    """Rows are told apart by them."""
    if not names:
        raise UsageError(f"there must be at least one {kind} to compare")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UsageError(f'{kind} "{name}" is given {count} times; {kind} names must differ')


def _processes(jobs: int) -> int:
    if not (isinstance(jobs, Integral) and (jobs >= 1 or jobs == -1)):
        raise UsageError(f"jobs must be at least 1, or -1 for one a core, got {jobs!r}")
    if jobs >= 1:
        return int(jobs)
    from joblib import cpu_count

    return int(cpu_count())


def _run(tasks: Sequence[Task], journal: Journal, work: Work, follow: Follow | None) -> bool:
    """Do what is not done yet and say whether Ctrl-C ended it. Failed runs get another chance."""
    known = journal.runs
    left = [(i, a) for i, a in tasks if a not in known or known[a].outcome == "failed"]
    done = len(tasks) - len(left)
    follow = follow or (lambda done, total: None)
    follow(done, len(tasks))
    if not left:
        return False
    try:
        with closing(work(left)) as runs:
            for count, run in enumerate(runs, done + 1):
                journal.append(run)
                follow(count, len(tasks))
    except KeyboardInterrupt:
        return True
    return False


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write runs.csv, summary.csv and the two figures, each atomically.

    Raises
    ------
    InputError
        When the folder cannot be written.
    """
    from dtkd_opt.compare.figures import accuracy_delay, gap_over_time
    from dtkd_opt.drawing import svg

    for name, table in (("runs", comparison.runs), ("summary", comparison.summary)):
        text = table.to_csv(index=False, lineterminator="\n")
        write_atomic(folder / f"{name}.csv", text.encode())
    figures = {
        "gap_over_time": gap_over_time(comparison.histories, comparison.runs),
        "accuracy_delay": accuracy_delay(comparison.runs),
    }
    for name, figure in figures.items():
        write_atomic(folder / f"{name}.svg", svg(figure, name))


def _require(package: str, extra: str, what: str) -> None:
    if find_spec(package) is None:
        raise InputError(what, [f'needs {package}: pip install "dtkd-opt[{extra}]"'])

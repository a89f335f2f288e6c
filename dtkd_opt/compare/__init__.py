"""Compare methods: instances × methods × seeds, each run checked, kept as it ends, summed up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

from dtkd_opt.compare.run import Asked, Run, execute
from dtkd_opt.compare.tables import histories_table, judge, runs_table, summary_table
from dtkd_opt.errors import UsageError
from dtkd_opt.files import write_atomic
from dtkd_opt.instance import Instance
from dtkd_opt.interrupts import KeepOnCtrlC
from dtkd_opt.jobs import processes, require
from dtkd_opt.jobs.journal import Journal
from dtkd_opt.jobs.missing import Follow, do_missing
from dtkd_opt.jobs.workers import Task, workers
from dtkd_opt.methods import method_names, method_version
from dtkd_opt.solve import check_limits

if TYPE_CHECKING:
    import pandas as pd

NAME = "runs.jsonl"
_OTHERWISE = "name another folder, or give --fresh"  # where it holds other runs


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
    require("distributed" if dask else "joblib", "dask" if dask else "compare", "compare")
    if folder is not None:
        require("matplotlib", "compare", "the figures of compare")
    jobs = processes(jobs) if dask is None else 0
    wanted = [asked for _, asked in tasks]
    path = None if folder is None else folder / NAME
    with KeepOnCtrlC() as ctrl_c:
        with (
            workers(jobs, dask, execute, Run) as work,
            Journal(path, Run, wanted, resume, _OTHERWISE) as journal,
        ):
            interrupted = do_missing(tasks, journal, work, follow)
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

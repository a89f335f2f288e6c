"""`compare`, from what is given to the files of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtkd_opt.analysis.compare.run import Run, execute
from dtkd_opt.analysis.compare.spec import build_specs, name_methods
from dtkd_opt.analysis.compare.tables import (
    cross_check,
    histories_table,
    runs_table,
    summary_table,
)
from dtkd_opt.errors import UsageError
from dtkd_opt.records.arguments import as_callback, as_flag, as_path
from dtkd_opt.records.files import to_csv, write_files
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.result_files import COMPARISON, COMPARISON_JOURNAL
from dtkd_opt.runtime.interrupts import KeepOnCtrlC
from dtkd_opt.runtime.jobs import as_address, processes, require
from dtkd_opt.runtime.journal import Journal
from dtkd_opt.runtime.runner import ProgressCallback, run_pending
from dtkd_opt.runtime.workers import workers

if TYPE_CHECKING:
    import pandas as pd

    from dtkd_opt.methods.registry import Method

_ADVICE = "name another folder, or give --fresh"  # where it holds other runs


@dataclass(frozen=True, eq=False)
class Comparison:
    """The finished runs of a comparison, ordered by instance, label, seed."""

    records: tuple[Run, ...]  # one a run
    interrupted: bool  # whether Ctrl-C came before all runs were done

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run; its columns are those of runs.csv."""
        return runs_table(self.records)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row for each instance and label; its columns are those of summary.csv."""
        return summary_table(self.runs)

    @cached_property
    def histories(self) -> pd.DataFrame:
        """One row whenever a run's bound, plan or phase changed."""
        return histories_table(self.records)


def compare(
    instances: Iterable[Instance],
    methods: Iterable[str | Method],
    *,
    settings: Mapping[str, Any] | None = None,
    seeds: int = 3,
    gap: float = 1e-6,
    time_limit: float | None = None,
    iterations: int | None = None,
    jobs: int = -1,
    dask: str | None = None,
    output: str | Path | None = None,
    resume: bool = True,
    callback: ProgressCallback | None = None,
) -> Comparison:
    """Run every method on every instance with every seed, side by side.

    Each run is a process's work with one thread; its plan must pass :func:`check` to count. Ctrl-C
    ends the comparison with the runs that are finished.

    Parameters
    ----------
    instances, methods
        Instances of different names; methods with their settings, such as ``Exact(fixing=False)``,
        or names of methods, also of other packages, or of `settings`.
    settings
        Settings by method: the method itself, such as ``QLearning(cold=True)``, or a mapping. A
        mapping with a ``"method"`` may have any other name, by which `methods` calls that method
        with these settings: ``compare(instances, ["q-learning", "cold"],
        settings={"cold": {"method": "q-learning", "cold": True}})``.
        Those of methods that are not compared are ignored. Of a network of `dqn` the files'
        contents count, of a log file the name.
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
    callback
        Called with how many runs are done, and how many there are.

    Returns
    -------
    Comparison
        The runs that are finished, each checked.

    Raises
    ------
    UsageError
        Unknown methods, settings that a method does not take, or limits that mean nothing.
    InputError
        A setting out of its range; a missing extra; a folder with other runs or in use by another
        comparison; no Dask cluster.
    """
    limits = (gap, time_limit, iterations)
    problems = _as_list("instances", instances, Instance)
    named = name_methods(_as_list("methods", methods, (str, Callable)), settings)
    tasks = build_specs(problems, *named, seeds, limits)
    folder = None if output is None else as_path(output, "output")
    as_flag(resume, "resume")
    as_callback(callback, "done and total")
    dask = as_address(dask)
    require("distributed" if dask else "joblib", "dask" if dask else "compare", "compare")
    if folder is not None:
        require("matplotlib", "compare", "the figures of compare")
    n_processes = processes(jobs) if dask is None else 0
    path = None if folder is None else folder / COMPARISON_JOURNAL
    specs = [spec for _, spec in tasks]
    with (
        KeepOnCtrlC(pass_on=True) as ctrl_c,
        workers(n_processes, dask, execute, Run) as run_jobs,
        Journal(path, Run, specs, resume, _ADVICE) as journal,
    ):
        kept = cross_check(list(journal.rows.values()))  # failed ones, by this too, run again
        journal.rows.update((run.spec, run) for run in kept)
        interrupted = run_pending(tasks, journal, run_jobs, callback)
        ctrl_c.finish()
        runs = [journal.rows[spec] for spec in specs if spec in journal.rows]
        comparison = Comparison(tuple(cross_check(runs)), interrupted)
        if folder is not None and runs:
            write_comparison(comparison, folder)
    return comparison


def _as_list(name: str, given: Iterable[Any], kind: Any) -> list[Any]:
    """A list of values of one type; UsageError for a single one, which may iterate, and others."""
    several = isinstance(given, Iterable) and not isinstance(given, kind)
    several = several and getattr(given, "ndim", 1) > 0  # an array of none is iterable by type only
    values = list(given) if several else []
    if not several or not all(isinstance(value, kind) for value in values):
        raise UsageError(f"{name} must be a list of {name}, got {values or given!r:.60}")
    return values


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write runs.csv, summary.csv and the two figures, atomically."""
    from dtkd_opt.analysis.compare.figures import accuracy_delay, gap_over_time
    from dtkd_opt.reporting.figures import svg

    over_time = gap_over_time(comparison.histories, comparison.runs)
    contents = (
        to_csv(comparison.runs),
        to_csv(comparison.summary),
        svg(over_time, "gap_over_time"),
        svg(accuracy_delay(comparison.runs), "accuracy_delay"),
    )
    write_files({folder / name: data for name, data in zip(COMPARISON, contents, strict=True)})

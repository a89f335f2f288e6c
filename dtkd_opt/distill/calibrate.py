"""Calibrate: train the teacher and many students, and make the table of what they reach."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dtkd_opt.distill.build_table import build_table
from dtkd_opt.distill.data import Dataset, load_data
from dtkd_opt.distill.grid import CalibrateParams, Grid, check_grid, default_sizes, whole_numbers
from dtkd_opt.distill.jobs import Job, Material, Training, execute
from dtkd_opt.distill.networks import STUDENTS
from dtkd_opt.distill.partition import concentration
from dtkd_opt.distill.results import CHOOSING, TRAINING, check_output, journal_path, write_results
from dtkd_opt.distill.select_hyperparameters import choose, left_out, without_setting
from dtkd_opt.distill.teacher import Say, Teacher, load_teacher
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.runtime.interrupts import KeepOnCtrlC
from dtkd_opt.runtime.jobs import processes, require
from dtkd_opt.runtime.journal import Journal
from dtkd_opt.runtime.runner import FollowPhases, do_missing
from dtkd_opt.runtime.workers import Work, workers

TEACHING = "teacher"
_OTHERWISE = "name another --output, or remove it"  # where a file holds other trainings


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What came of a calibration: the trainings in the order asked, and the table of them all.

    `table` is None where Ctrl-C came before; `resume` goes on then.
    """

    table: Calibration | None
    choosing: tuple[Training, ...]
    runs: tuple[Training, ...]

    @property
    def lost(self) -> tuple[Training, ...]:
        """Trainings of the table without a result, and those to choose by that failed.

        A student whose every setting diverged is told by the first such training.
        """
        first = [row.asked for row in left_out(self.choosing)]
        failed = (row for row in self.choosing if row.outcome == "failed" or row.asked in first)
        return (*failed, *(row for row in self.runs if row.outcome != "done"))


def calibrate(
    data: str = "digits",
    *,
    data_dir: str | Path | None = None,
    seeds: int = 3,
    sizes: Sequence[int] | None = None,
    students: Sequence[str] | None = None,
    params: CalibrateParams | Mapping[str, Any] | None = None,
    jobs: int = -1,
    dask: str | None = None,
    device: str = "cpu",
    output: str | Path | None = None,
    resume: bool = False,
    cache: str | Path | None = None,
    say: Say | None = None,
    follow: FollowPhases | None = None,
) -> Calibrated:
    """Measure what each student reaches at each place, by training it.

    First learning rate and batch size are chosen on the validation split, then each student is
    trained with each size of private data and seed: with hard labels alone, with the teacher's
    soft labels of the mirrored samples (on the device), and of all samples (at the server).
    Equal arguments give equal tables.

    Parameters
    ----------
    data, data_dir
        As of :func:`dtkd_opt.distill.data.load_data`.
    seeds
        How many: 0 to seeds - 1.
    sizes
        Numbers of private samples; by default 100 to 3,000, of the digits to 1,000.
    students
        Names; by default all.
    params
        All other settings, as a record or by name.
    jobs, dask
        Processes at once, -1 for one a core; or a Dask scheduler's address. A worker reads the
        data from its own disk.
    device
        `cpu` or `cuda`.
    output
        The table's file. Beside it, with other endings: the finished trainings, which grow as
        they end, and the same as CSV, a figure, and a summary. None: nothing is written.
    resume
        Go on with the trainings that `output` has beside it.
    cache
        Folder of trained teachers; by default in the user's cache.
    say, follow
        Called with a line about a damaged teacher; with the phase, how much of it is done and all.

    Raises
    ------
    UsageError
        Settings that mean nothing, a size larger than the data, an output that overwrites itself
        or the data.
    InputError
        Missing extras or data, no Dask cluster, files of other trainings, a full disk, no training
        that succeeded.
    """
    path, params = None if output is None else Path(output), _params(params)
    seeds = whole_numbers("seeds", [seeds])[0]
    require("distributed" if dask else "joblib", "dask" if dask else "train", "calibrate")
    jobs = processes(jobs) if dask is None else 0
    concentration(params.partition)
    _check_device(device)
    if path is not None:
        require("matplotlib", "train", "the figure of calibrate")
        check_output(path, [Path(data.removeprefix("npz:"))] if data.startswith("npz:") else [])
    folder = None if data_dir is None else Path(data_dir)
    dataset = load_data(data, folder)
    sizes = default_sizes(dataset) if sizes is None else whole_numbers("sizes", sizes)
    names = _names(students)
    check_grid(dataset, sizes, names, seeds)
    follow = follow or (lambda phase, done, total: None)
    with (
        KeepOnCtrlC(pass_on=True) as ctrl_c,
        workers(jobs, dask, execute, Training) as work,
    ):
        if path is not None:  # not before a Dask cluster has answered
            _prepare(path, resume)
        try:
            teacher = _teacher(dataset, cache, device, say, follow)
        except KeyboardInterrupt:
            return Calibrated(None, (), ())
        grid = Grid(dataset, teacher.sha256, names, sizes, seeds, params, device)
        material = Material(data, folder, teacher.logits)
        found = _train_all(_Bench(grid, material, work, path, resume, follow), teacher)
        ctrl_c.finish()
        if path is not None and found.table is not None:
            write_results(found.table, (*found.choosing, *found.runs), path)
    return found


@dataclass(frozen=True, eq=False)
class _Bench:
    """Where the jobs of a calibration are done and kept."""

    grid: Grid
    material: Material
    work: Work[Training]
    output: Path | None
    resume: bool
    follow: FollowPhases

    def train(self, phase: str, jobs: Sequence[Job]) -> tuple[tuple[Training, ...], bool]:
        """The rows of finished jobs, in the order of `jobs`, and whether Ctrl-C ended it."""
        tasks = [(self.material, job) for job in jobs]
        tasks.sort(key=lambda task: -self.grid.cost(task[1]))  # a long one last would run alone
        path = None if self.output is None else journal_path(self.output, phase)
        with Journal(path, Training, jobs, self.resume, _OTHERWISE) as journal:
            follow = partial(self.follow, phase)
            stopped = do_missing(tasks, journal, self.work, follow, self.grid.cost)
            return tuple(journal.runs[job] for job in jobs if job in journal.runs), stopped


def _train_all(bench: _Bench, teacher: Teacher) -> Calibrated:
    """Choose, train, sum up."""
    choosing, stopped = bench.train(CHOOSING, bench.grid.choice_jobs())
    if stopped:
        return Calibrated(None, choosing, ())
    choices = choose(choosing)
    jobs = bench.grid.table_jobs(choices)
    if not jobs:
        raise InputError("calibrate", [without_setting(row) for row in left_out(choosing)[:1]])
    runs, stopped = bench.train(TRAINING, jobs)
    if stopped:
        return Calibrated(None, choosing, runs)
    return Calibrated(build_table(bench.grid, teacher, choices, runs), choosing, runs)


def _teacher(
    data: Dataset, cache: str | Path | None, device: str, say: Say | None, follow: FollowPhases
) -> Teacher:
    return load_teacher(
        data,
        default_cache() if cache is None else Path(cache),
        device=device,
        say=say or (lambda line: None),
        progress=lambda done: follow(TEACHING, done, 1),
    )


def _names(students: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(students, str):
        raise UsageError(f"students must be a list of names, got {students!r}")
    return STUDENTS if students is None else tuple(students)


def _params(given: CalibrateParams | Mapping[str, Any] | None) -> CalibrateParams:
    if isinstance(given, CalibrateParams):
        return given
    if given is None or isinstance(given, Mapping):
        return params_of(given or {})
    raise UsageError(f"params must be CalibrateParams or a dict, got {given!r}")


def params_of(given: Mapping[str, Any]) -> CalibrateParams:
    """Settings from some values; UsageError where one means nothing."""
    try:
        return CalibrateParams(**given)
    except InputError as error:
        raise UsageError("; ".join(error.faults)) from None


def default_cache() -> Path:
    """Where teachers are kept: the user's cache folder, as the XDG rules have it."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dtkd-opt"


def _check_device(device: str) -> None:
    if device != "cpu" and not (device == "cuda" and torch.cuda.is_available()):
        raise UsageError(f'device "{device}" is not to be had here; use "cpu"')


def _prepare(output: Path, resume: bool) -> None:
    """Journals of their own, made now: a folder that takes no files is found out before training.

    Hours of training are not to be lost by a word that was left out.
    """
    for path in (journal_path(output, phase) for phase in (CHOOSING, TRAINING)):
        if not os.path.exists(path) or os.path.getsize(path) == 0:
            Journal(path, Training, (), False, _OTHERWISE).close()
        elif not resume:
            raise UsageError(f"{path} holds trainings: resume them, or name another output")

"""Calibrate: train the teacher and many students, and measure the accuracies they reach."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dtkd_opt.distill.build_calibration import build_calibration
from dtkd_opt.distill.data import load_data
from dtkd_opt.distill.grid import TrainingGrid
from dtkd_opt.distill.jobs import TrainingData, TrainingRow, TrainingSpec, execute
from dtkd_opt.distill.networks import STUDENTS
from dtkd_opt.distill.partition import concentration
from dtkd_opt.distill.results import ADVICE, check_output, create_journal, write_results
from dtkd_opt.distill.select_hyperparameters import (
    excluded,
    exclusion_reason,
    select_hyperparameters,
)
from dtkd_opt.distill.settings import CalibrationSettings, check_grid, default_sizes, whole_numbers
from dtkd_opt.distill.teacher import Teacher, load_teacher
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.records.arguments import (
    as_callback,
    as_file,
    as_flag,
    as_kind,
    as_path,
    as_record,
    shown,
)
from dtkd_opt.records.arrays import is_list, plain_value
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.records.result_files import SELECTION, TRAINING, calibration_journal
from dtkd_opt.runtime.interrupts import KeepOnCtrlC
from dtkd_opt.runtime.jobs import RunJobs, as_address, processes, require
from dtkd_opt.runtime.journal import Journal
from dtkd_opt.runtime.runner import PhaseCallback, run_pending
from dtkd_opt.runtime.threads import as_device
from dtkd_opt.runtime.workers import workers

TEACHER = "teacher"


@dataclass(frozen=True, eq=False)
class CalibrationResult:
    """The calibration, and the trainings by which hyperparameters were chosen and it was made."""

    calibration: Calibration | None  # None if Ctrl-C came first; `resume` goes on then
    selection: tuple[TrainingRow, ...]  # those by which hyperparameters were chosen
    trainings: tuple[TrainingRow, ...]  # those that it was made from

    @property
    def failures(self) -> tuple[TrainingRow, ...]:
        """Trainings of the calibration without a result, and failed ones of the selection.

        Of a student whose trainings all diverged there is the first.
        """
        first = [row.spec for row in excluded(self.selection)]
        failed = (row for row in self.selection if row.outcome == "failed" or row.spec in first)
        return (*failed, *(row for row in self.trainings if row.outcome != "done"))


def calibrate(
    data: str = "digits",
    *,
    data_dir: str | Path | None = None,
    seeds: int = 3,
    sizes: Sequence[int] | None = None,
    students: Sequence[str] | None = None,
    settings: CalibrationSettings | None = None,
    jobs: int = -1,
    dask: str | None = None,
    device: str = "cpu",
    output: str | Path | None = None,
    resume: bool = False,
    cache: str | Path | None = None,
    callback: PhaseCallback | None = None,
) -> CalibrationResult:
    """Measure the accuracy of each student at each place, by training it.

    First learning rate and batch size are chosen on the validation split, then each student is
    trained with each number of private samples and each seed: with hard labels alone, with the
    teacher's soft labels of the mirrored samples (on the device), and of all samples (at the
    server). Equal arguments give equal calibrations.

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
    settings
        All other settings.
    jobs, dask
        Processes at once, -1 for one a core, and in their place a Dask scheduler's address. A
        worker reads the data from its own disk.
    device
        `cpu` or `cuda`.
    output
        The calibration's file. Beside it, with other endings: the trainings, written as they end,
        and the same as CSV, a figure, and a summary. None: nothing is written.
    resume
        Keep the finished trainings beside `output` and go on.
    cache
        Folder of trained teachers; by default in the user's cache.
    callback
        Called with the phase, how much of it is done and how much there is.

    Returns
    -------
    CalibrationResult
        The calibration with its trainings; after Ctrl-C, those that were done by then.

    Raises
    ------
    UsageError
        Settings that mean nothing, a size larger than the data, an output that overwrites itself
        or the data.
    InputError
        Missing extras or data, no Dask cluster, files of other trainings, a full disk, no training
        that succeeded.
    """
    path = None if output is None else as_file(output, "output")
    as_flag(resume, "resume")
    settings = as_record(CalibrationSettings, settings, "settings")
    seeds = whole_numbers("seeds", [seeds])[0]
    dask = as_address(dask)
    require("distributed" if dask else "joblib", "dask" if dask else "train", "calibrate")
    jobs = processes(jobs) if dask is None else 0
    concentration(settings.partition)
    as_device(device)
    as_kind(str, data, "data must be the name of a data set")
    if path is not None:
        require("matplotlib", "train", "the figure of calibrate")
        check_output(path, [Path(data.removeprefix("npz:"))] if data.startswith("npz:") else [])
    folder = None if data_dir is None else as_path(data_dir, "data_dir")
    dataset = load_data(data, folder)
    sizes = default_sizes(dataset) if sizes is None else whole_numbers("sizes", sizes)
    if students is not None and not is_list(students):
        raise UsageError(f"students must be a list of names, got {shown(students)}")
    names = STUDENTS if students is None else tuple(plain_value(students))
    check_grid(dataset, sizes, names, seeds)
    callback = as_callback(callback, "phase, done and total") or (lambda phase, done, total: None)
    with KeepOnCtrlC(pass_on=True) as ctrl_c, workers(jobs, dask, execute, TrainingRow) as run_jobs:
        if path is not None:  # not before a Dask cluster has answered
            for phase in (SELECTION, TRAINING):
                create_journal(calibration_journal(path, phase), TrainingRow, resume)
        try:
            teacher = load_teacher(
                dataset,
                default_cache() if cache is None else as_path(cache, "cache"),
                device=device,
                callback=lambda done: callback(TEACHER, done, 1),
            )
        except KeyboardInterrupt:
            return CalibrationResult(None, (), ())
        grid = TrainingGrid(dataset, teacher.sha256, names, sizes, seeds, settings, device)
        training_data = TrainingData(data, folder, teacher.logits)
        trainer = _Trainer(grid, training_data, run_jobs, path, resume, callback)
        result = _train_all(trainer, teacher)
        ctrl_c.finish()
        if path is not None and result.calibration is not None:
            write_results(result.calibration, (*result.selection, *result.trainings), path)
    return result


@dataclass(frozen=True, eq=False)
class _Trainer:
    """Runs the trainings of a calibration and keeps their rows."""

    grid: TrainingGrid
    training_data: TrainingData
    run_jobs: RunJobs[TrainingRow]
    output: Path | None
    resume: bool
    callback: PhaseCallback

    def train(
        self, phase: str, specs: Sequence[TrainingSpec]
    ) -> tuple[tuple[TrainingRow, ...], bool]:
        """The rows of finished trainings, in the order of `specs`, and whether Ctrl-C came."""
        jobs = [(self.training_data, spec) for spec in specs]
        jobs.sort(key=lambda job: -self.grid.cost(job[1]))  # a long one last would run alone
        path = None if self.output is None else calibration_journal(self.output, phase)
        with Journal(path, TrainingRow, specs, self.resume, ADVICE) as journal:
            callback = partial(self.callback, phase)
            stopped = run_pending(jobs, journal, self.run_jobs, callback, self.grid.cost)
            return tuple(journal.rows[spec] for spec in specs if spec in journal.rows), stopped


def _train_all(trainer: _Trainer, teacher: Teacher) -> CalibrationResult:
    """Select hyperparameters, train, build the calibration."""
    grid = trainer.grid
    selection, stopped = trainer.train(SELECTION, grid.selection_specs())
    if stopped:
        return CalibrationResult(None, selection, ())
    choices = select_hyperparameters(selection)
    specs = grid.training_specs(choices)
    if not specs:
        raise InputError("calibrate", [exclusion_reason(row) for row in excluded(selection)[:1]])
    trainings, stopped = trainer.train(TRAINING, specs)
    calibration = None if stopped else build_calibration(grid, teacher, choices, trainings)
    return CalibrationResult(calibration, selection, trainings)


def default_cache() -> Path:
    """Where teachers are kept: the user's cache folder, by the XDG base directory rules."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dtkd-opt"

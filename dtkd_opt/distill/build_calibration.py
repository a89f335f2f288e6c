"""From trainings to a calibration: statistics of each size, curves, gains, and the models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dtkd_opt.distill.costs import costs_of, count_costs
from dtkd_opt.distill.fit import mean_interval, non_decreasing, power_law
from dtkd_opt.distill.grid import LABELS, TrainingGrid
from dtkd_opt.distill.jobs import VERSION, TrainingRow
from dtkd_opt.distill.networks import TEACHER
from dtkd_opt.distill.teacher import Teacher
from dtkd_opt.errors import InputError
from dtkd_opt.records.accuracy import AccuracyTable
from dtkd_opt.records.calibration import (
    FORMAT,
    AccuracyCurve,
    AccuracyStatistics,
    Calibration,
    ChosenHyperparameters,
    CurveLabels,
    DistillationGain,
    NetworkCosts,
)
from dtkd_opt.records.instance import Model, Task

_LABEL_BITS = 32  # of each class of a soft label: one float

# by student, labels and size: the accuracy by seed
Accuracies = Mapping[tuple[str, CurveLabels, int], Mapping[int, float]]


def build_calibration(
    grid: TrainingGrid,
    teacher: Teacher,
    choices: Iterable[ChosenHyperparameters],
    rows: Iterable[TrainingRow],
) -> Calibration:
    """The calibration that finished trainings give.

    A size at which a student has no training with some kind of labels is left out for it.

    Raises
    ------
    InputError
        When no student has any size left.
    """
    rows = tuple(rows)
    accuracies = _accuracies(rows)
    curves = [curve for student in grid.students for curve in _curves(grid, student, accuracies)]
    if not curves:
        reason = next((row.reason for row in rows if row.outcome != "done"), "there are no runs")
        raise InputError(
            "calibrate", [f"no student has a run of each kind; first reason: {reason}"]
        )
    settings = grid.settings
    return Calibration(
        format=FORMAT,
        data=grid.data.name,
        data_sha256=grid.data.sha256,
        version=VERSION,
        device=grid.device,
        seeds=grid.seeds,
        partition=settings.partition,
        fresh_fraction=settings.fresh_fraction,
        tau=settings.tau,
        alpha=settings.alpha,
        teacher_sha256=teacher.sha256,
        task=_task(grid),
        networks=tuple(_networks(grid, teacher)),
        models=tuple(_models(grid, curves)),
        curves=tuple(curves),
        lifts=tuple(_gains(curves, accuracies)),
        choices=tuple(choices),
    )


def _accuracies(rows: Iterable[TrainingRow]) -> Accuracies:
    by_key: dict[tuple[str, CurveLabels, int], dict[int, float]] = defaultdict(dict)
    for row in rows:
        if row.accuracy is not None:
            spec = row.spec
            by_key[spec.student, spec.labels, spec.samples][spec.seed] = row.accuracy
    return by_key


def _curves(grid: TrainingGrid, student: str, accuracies: Accuracies) -> Iterator[AccuracyCurve]:
    sizes = [
        size for size in grid.sizes if all(accuracies.get((student, kind, size)) for kind in LABELS)
    ]
    for labels in LABELS if sizes else ():
        by_seed = [accuracies[student, labels, size] for size in sizes]
        figures = curve_statistics(sizes, [[one[seed] for seed in sorted(one)] for one in by_seed])
        fit = power_law(sizes, [entry.mean for entry in figures])
        yield AccuracyCurve(student=student, labels=labels, cells=figures, fit=fit)


def curve_statistics(
    sizes: Sequence[int], accuracies: Sequence[Sequence[float]]
) -> tuple[AccuracyStatistics, ...]:
    """The statistics of a curve from its sizes and the accuracies over seeds at each.

    The values in use never fall with more samples. A lower end of an interval is lowered to that of
    any larger size: raised, it would not hold any more. A size with a single run has none.
    """
    statistics = [mean_interval(values) for values in accuracies]
    runs = [len(values) for values in accuracies]
    used = non_decreasing([mean for mean, *_ in statistics], runs)
    lows = [_clip(low) for *_, low, _ in statistics]
    used_lows = [
        None if low is None else min(other for other in lows[i:] if other is not None)
        for i, low in enumerate(lows)
    ]
    return tuple(
        AccuracyStatistics(
            samples=size, runs=count, mean=mean, std=std, lower95=low, upper95=_clip(high),
            used=value, used_lower95=used_low,
        )
        for size, count, (mean, std, _, high), low, value, used_low in zip(
            sizes, runs, statistics, lows, used, used_lows, strict=True
        )
    )  # fmt: skip


def _clip(value: float | None) -> float | None:
    """An end of an interval, clipped to [0, 1]."""
    return None if value is None else min(max(value, 0.0), 1.0)


def _gains(curves: Iterable[AccuracyCurve], accuracies: Accuracies) -> Iterator[DistillationGain]:
    """Differences by seed: both students have the same first weights and the same samples."""
    for curve in curves:
        if curve.labels == "hard":
            continue
        for entry in curve.cells:
            soft = accuracies[curve.student, curve.labels, entry.samples]
            hard = accuracies[curve.student, "hard", entry.samples]
            if both := sorted(soft.keys() & hard.keys()):
                mean, _, low, high = mean_interval([soft[s] - hard[s] for s in both])
                yield DistillationGain(
                    student=curve.student, labels=curve.labels, samples=entry.samples,
                    runs=len(both), mean=mean, lower95=low, upper95=high,
                )  # fmt: skip


def _task(grid: TrainingGrid) -> Task:
    data = grid.data
    teacher = costs_of(TEACHER, data.shape, data.classes)
    return Task(
        epochs=grid.settings.epochs,
        bits_per_sample=float(data.sample_bits),
        bits_per_label=float(_LABEL_BITS * data.classes),
        teacher_cycles_per_sample=teacher.forward_cycles,
    )


def _networks(grid: TrainingGrid, teacher: Teacher) -> Iterator[NetworkCosts]:
    for name, costs in grid.costs.items():
        yield NetworkCosts(name=name, parameters=costs.parameters, flops=costs.flops)
    costs = count_costs(teacher.network, grid.data.shape)
    accuracy = round(teacher.accuracy(grid.data, grid.data.test), 6)
    yield NetworkCosts(
        name=TEACHER, parameters=costs.parameters, flops=costs.flops, accuracy=accuracy
    )


def _models(grid: TrainingGrid, curves: Sequence[AccuracyCurve]) -> Iterator[Model]:
    by_labels = {(curve.student, curve.labels): curve for curve in curves}
    for student in dict.fromkeys(curve.student for curve in curves):
        device, server = by_labels[student, "device"], by_labels[student, "server"]
        accuracy = AccuracyTable(
            samples=tuple(float(entry.samples) for entry in device.cells),
            device=tuple(entry.used for entry in device.cells),
            server=tuple(entry.used for entry in server.cells),
        )
        costs = grid.costs[student]
        yield Model(
            name=student,
            bits=float(costs.bits),
            cycles_per_sample=costs.cycles_per_sample,
            accuracy=accuracy,
        )

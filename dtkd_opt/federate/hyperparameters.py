"""How each student is trained, as calibration did, and what calibration lets expect of a plan."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.training import TrainConfig
from dtkd_opt.errors import InputError
from dtkd_opt.federate.planned import Labels, Planned
from dtkd_opt.records.accuracy import AccuracyTable, Place
from dtkd_opt.records.calibration import (
    AccuracyCurve,
    Calibration,
    ChosenHyperparameters,
    check_epochs,
)
from dtkd_opt.records.calibration import LabelKind as Kind
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.solution import Solution

Ends = tuple[float, float]


def recipes_for(planned: Planned, table: Calibration | None) -> list[TrainConfig]:
    """The recipe of each user's training.

    Epochs are the instance's: its delays are of them. Learning rate, batch size, temperature and
    weight are the table's, of the nearest size in logarithm; without a table a recipe's own.

    Raises
    ------
    InputError
        When the table is of other epochs, or nothing was chosen for a student.
    """
    instance, students = planned.instance, planned.solution.users.model
    return [
        recipe_for(instance, str(student), size, planned.labels, table)
        for student, size in zip(students, instance.users.samples.tolist(), strict=True)
    ]


def recipe_for(
    instance: Instance, student: str, samples: int, labels: Labels, table: Calibration | None
) -> TrainConfig:
    """The recipe of one training, with so many samples; see :func:`recipes_for`."""
    epochs = instance.task.epochs
    if table is None:
        return TrainConfig(epochs=epochs)
    check_epochs(instance, table.task.epochs)
    choice = _nearest(table, student, samples, labels)
    return TrainConfig(
        epochs=epochs,
        batch_size=choice.batch_size,
        learning_rate=choice.learning_rate,
        tau=table.tau,
        alpha=table.alpha,
    )


def _nearest(
    table: Calibration, student: str, samples: int, labels: Labels
) -> ChosenHyperparameters:
    mine = [c for c in table.choices if c.student == student and c.labels == labels]
    if not mine:
        fault = f'choices: has none for "{student}" with {labels} labels'
        raise InputError(f"table of {table.data}", [f"{fault}; calibrate it, or leave --table"])
    return min(mine, key=lambda choice: abs(math.log(choice.samples / samples)))


def expected_interval(planned: Planned, table: Calibration | None) -> Ends | None:
    """The mean over the users of their calibrated 95 % intervals' ends.

    One user's ends are interpolated between the table's sizes as its accuracy is. Errors of the
    calibration are shared by all users of a student, so those of the mean are not narrower. None
    without a table, and where it has no interval.
    """
    if table is None:
        return None
    curves = {(curve.student, curve.labels): curve for curve in table.curves}
    lows, highs = [], []
    users, samples = planned.solution.users, planned.instance.users.samples
    for student, place, size in zip(users.model, users.place, samples, strict=True):
        soft: Kind = "device" if place == "device" else "server"
        curve = curves.get((str(student), "hard" if planned.labels == "hard" else soft))
        ends = None if curve is None else _ends(curve, float(size))
        if ends is None:
            return None
        lows.append(ends[0])
        highs.append(ends[1])
    return float(np.mean(lows)), float(np.mean(highs))


def _ends(curve: AccuracyCurve, samples: float) -> Ends | None:
    cells = [cell for cell in curve.cells if cell.lower95 is not None and cell.upper95 is not None]
    if len(cells) < len(curve.cells):
        return None
    ends: dict[Place, tuple[float, ...]] = {
        "device": tuple(cell.lower95 or 0.0 for cell in cells),
        "server": tuple(cell.upper95 or 0.0 for cell in cells),
    }
    both = AccuracyTable(samples=tuple(float(cell.samples) for cell in cells), **ends)
    return both.at(samples, "device"), both.at(samples, "server")


def differences(
    planned: Planned, data: Dataset, table: Calibration | None, partition: str, taught: int
) -> Iterator[str]:
    """What of this training is not as in the one that made the prediction, in sentences."""
    if table is None:
        yield (
            "No table was given: learning rate and batch size are the same for all, and whether "
            "the predictions belong to this training is not known."
        )
    else:
        yield from _unlike_data(data, table, partition)
        if planned.labels == "soft":
            yield from _unlike_table(planned.instance, planned.solution, table)
    if planned.labels == "soft" and taught < len(data.train):
        yield (
            f"The teacher is trained on the {taught:,} samples that the twins mirror; that of a "
            f"calibration on all {len(data.train):,}."
        )


def _unlike_data(data: Dataset, table: Calibration, partition: str) -> Iterator[str]:
    if table.data_sha256 != data.sha256:
        yield f"The table is of other data ({table.data}) than what is learnt here ({data.name})."
    if partition != table.partition:
        yield f"Private samples are {partition}, those of the table {table.partition}."


def _unlike_table(instance: Instance, solution: Solution, table: Calibration) -> Iterator[str]:
    known = {model.name: model.accuracy for model in table.models}
    if any(known.get(model.name) != model.accuracy for model in instance.models):
        yield "The instance's accuracies are not the table's means."
    shares = instance.users.fresh_fraction[solution.users.place == "device"]
    if (shares != table.fresh_fraction).any():
        yield (
            f"On the device {shares.min():.0%} to {shares.max():.0%} of a user's samples are fresh "
            f"(mean {shares.mean():.0%}), in the table {table.fresh_fraction:.0%}."
        )

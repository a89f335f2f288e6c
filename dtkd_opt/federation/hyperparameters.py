"""How each student is trained, as in the calibration, and the accuracy to be expected then."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.training import TrainConfig
from dtkd_opt.errors import InputError
from dtkd_opt.federation.plan import FederationPlan
from dtkd_opt.records.accuracy import AccuracyTable, Place
from dtkd_opt.records.calibration import (
    AccuracyCurve,
    Calibration,
    ChosenHyperparameters,
    Labels,
    check_epochs,
)
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.solution import Solution

Interval = tuple[float, float]


def train_configs(plan: FederationPlan, calibration: Calibration | None) -> list[TrainConfig]:
    """The settings of each user's training.

    Epochs are the instance's: its delays are of them. Learning rate, batch size, temperature and
    weight are the calibration's, of the nearest size in logarithm; without one the defaults.

    Raises
    ------
    InputError
        When the calibration is of other epochs, or nothing was chosen for a student.
    """
    instance, students = plan.instance, plan.solution.users.model
    return [
        train_config(instance, str(student), size, plan.labels, calibration)
        for student, size in zip(students, instance.users.samples.tolist(), strict=True)
    ]


def train_config(
    instance: Instance,
    student: str,
    samples: int,
    labels: Labels,
    calibration: Calibration | None,
) -> TrainConfig:
    """The settings of one training on so many samples; see :func:`train_configs`."""
    epochs = instance.task.epochs
    if calibration is None:
        return TrainConfig(epochs=epochs)
    check_epochs(instance, calibration.task.epochs)
    choice = _nearest(calibration, student, samples, labels)
    return TrainConfig(
        epochs=epochs,
        batch_size=choice.batch_size,
        learning_rate=choice.learning_rate,
        tau=calibration.tau,
        alpha=calibration.alpha,
    )


def _nearest(
    calibration: Calibration, student: str, samples: int, labels: Labels
) -> ChosenHyperparameters:
    matching = [c for c in calibration.choices if c.student == student and c.labels == labels]
    if not matching:
        fault = f'choices: has none for "{student}" with {labels} labels'
        source = f"calibration of {calibration.data}"
        raise InputError(source, [f"{fault}; calibrate it, or give no accuracy table"])
    return min(matching, key=lambda choice: abs(math.log(choice.samples / samples)))


def expected_interval(plan: FederationPlan, calibration: Calibration | None) -> Interval | None:
    """The mean over the users of their calibrated 95 % intervals' ends.

    One user's ends are interpolated between the calibrated sizes as its accuracy is. Errors of the
    calibration are shared by all users of a student, so those of the mean are not narrower. None
    without a calibration, and where it has no interval.
    """
    if calibration is None:
        return None
    curves, intervals = calibration.curves_by_student, []
    users, samples = plan.solution.users, plan.instance.users.samples
    for student, place, size in zip(users.model, users.place, samples, strict=True):
        curve = curves.get((str(student), "hard" if plan.labels == "hard" else str(place)))
        interval = None if curve is None else _interval(curve, float(size))
        if interval is None:
            return None
        intervals.append(interval)
    low, high = np.mean(intervals, axis=0).tolist()
    return low, high


def _interval(curve: AccuracyCurve, samples: float) -> Interval | None:
    known = [one for one in curve.cells if one.lower95 is not None and one.upper95 is not None]
    if len(known) < len(curve.cells):
        return None
    ends: dict[Place, tuple[float, ...]] = {
        "device": tuple(entry.lower95 or 0.0 for entry in known),
        "server": tuple(entry.upper95 or 0.0 for entry in known),
    }
    both = AccuracyTable(samples=tuple(float(entry.samples) for entry in known), **ends)
    return both.at(samples, "device"), both.at(samples, "server")


def differences(
    plan: FederationPlan,
    data: Dataset,
    calibration: Calibration | None,
    partition: str,
    teacher_samples: int,
) -> Iterator[str]:
    """What differs between this training and the one behind the prediction, in sentences.

    `teacher_samples` is the number of samples that the teacher is trained on.
    """
    if calibration is None:
        yield (
            "No calibration was given: learning rate and batch size are the same for all, and "
            "whether the predictions belong to this training is not known."
        )
    else:
        yield from _data_differences(data, calibration, partition)
        if plan.labels == "soft":
            yield from _instance_differences(plan.instance, plan.solution, calibration)
    if plan.labels == "soft" and teacher_samples < len(data.train):
        yield (
            f"The teacher is trained on the {teacher_samples:,} samples that the twins mirror; "
            f"that of a calibration on all {len(data.train):,}."
        )


def _data_differences(data: Dataset, calibration: Calibration, partition: str) -> Iterator[str]:
    if calibration.data_sha256 != data.sha256:
        other = calibration.data
        yield f"The calibration is of other data ({other}) than this training ({data.name})."
    if partition != calibration.partition:
        yield f"Private samples are {partition}, those of the calibration {calibration.partition}."


def _instance_differences(
    instance: Instance, solution: Solution, calibration: Calibration
) -> Iterator[str]:
    calibrated = {model.name: model.accuracy for model in calibration.models}
    if any(calibrated.get(model.name) != model.accuracy for model in instance.models):
        yield "The instance's accuracies are not the calibrated means."
    shares = instance.users.fresh_fraction[solution.users.place == "device"]
    if (shares != calibration.fresh_fraction).any():
        yield (
            f"On the device {shares.min():.0%} to {shares.max():.0%} of a user's samples are fresh "
            f"(mean {shares.mean():.0%}), in the calibration {calibration.fresh_fraction:.0%}."
        )

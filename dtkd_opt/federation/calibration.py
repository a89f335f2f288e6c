"""The calibration that a plan belongs to, and the problem of users who train locally only."""

from __future__ import annotations

from typing import Any, TypeVar, cast, get_args

from dtkd_opt.errors import InputError
from dtkd_opt.records.accuracy import AccuracyTable
from dtkd_opt.records.calibration import Accuracy, Calibration, as_calibration, shipped_calibration
from dtkd_opt.records.fields import Record
from dtkd_opt.records.instance import Instance, Model, Task, as_instance

R = TypeVar("R", bound=Record)


def calibration_for(
    instance: Instance, given: Calibration | None, data: str | None = None
) -> Calibration | None:
    """The one given; else the shipped one, where the instance carries its task and models.

    What :func:`local_problem` makes of such an instance carries them too. Each of several plans
    has its own, so that a plan is trained the same alone and beside others.

    Parameters
    ----------
    instance, given
        Of one plan, and what the user gave.
    data
        The training data: the shipped calibration is for its own only. None: no training yet.
    """
    as_instance(instance)
    shipped = shipped_calibration() if given is None else as_calibration(given)
    if given is not None or data not in (None, shipped.data):
        return given
    carried = [(shipped.task, shipped.models_with(kind)) for kind in get_args(Accuracy)]
    carried.append((_local_task(shipped.task), hard_label_models(shipped.models, shipped)))
    return shipped if (instance.task, instance.models) in carried else None


def local_problem(instance: Instance, calibration: Calibration | None) -> Instance:
    """The problem of users who train locally only: soft labels of no bits, accuracies of hard ones.

    Without a calibration the accuracies stay as they are.
    """
    models = hard_label_models(instance.models, calibration)
    return _unchecked(instance, task=_local_task(instance.task), models=models)


def _local_task(task: Task) -> Task:
    return _unchecked(task, bits_per_label=0.0)


def _unchecked(record: R, **changes: Any) -> R:
    """A copy that no file could hold: labels of no bits, floors that hard labels do not reach."""
    return cast(R, type(record).model_construct(**dict(record) | changes))


def hard_label_models(
    models: tuple[Model, ...], calibration: Calibration | None
) -> tuple[Model, ...]:
    """The models with the calibrated accuracy of hard labels, at both places, if there is any.

    Raises
    ------
    InputError
        When the calibration has none of a student.
    """
    if calibration is None:
        return models
    curves, hard = calibration.curves_by_student, []
    for model in models:
        if (model.name, "hard") not in curves:
            fault = f'curves: has none for "{model.name}" with hard labels; calibrate it'
            raise InputError(f"calibration of {calibration.data}", [fault])
        statistics = curves[model.name, "hard"].cells
        used = tuple(entry.used for entry in statistics)
        sizes = tuple(float(entry.samples) for entry in statistics)
        accuracy = AccuracyTable(samples=sizes, device=used, server=used)
        hard.append(model.replace(accuracy=accuracy))
    return tuple(hard)

"""Which accuracy table a plan belongs to, and what users who train alone take from it."""

from __future__ import annotations

from typing import Any, TypeVar, cast, get_args

from dtkd_opt.errors import InputError
from dtkd_opt.records.calibration import Accuracy, Calibration, shipped_calibration
from dtkd_opt.records.fields import Record
from dtkd_opt.records.instance import Instance, Model

R = TypeVar("R", bound=Record)


def table_for(
    instance: Instance, given: Calibration | None, data: str | None = None
) -> Calibration | None:
    """The table given; else the shipped one, where the instance carries its task and models.

    What :func:`alone` makes of such an instance carries them too. Of several plans each is asked on
    its own, so that a plan is trained the same alone and beside others.

    Parameters
    ----------
    instance, given
        Of one plan, and what the user named.
    data
        What is learnt: the shipped table is for its own data only. None: nothing is, yet.
    """
    shipped = shipped_calibration()
    if given is not None or data not in (None, shipped.data):
        return given
    like = _unchecked(instance, task=shipped.task, models=shipped.models)
    hard = alone(like, shipped)
    carried = [(shipped.task, shipped.models_with(kind)) for kind in get_args(Accuracy)]
    carried.append((hard.task, hard.models))
    return shipped if (instance.task, instance.models) in carried else None


def alone(instance: Instance, table: Calibration | None) -> Instance:
    """The problem of users who train alone: labels of no bits, and accuracies of hard ones.

    Without a table the accuracies stay as they are.
    """
    task = _unchecked(instance.task, bits_per_label=0.0)
    models = instance.models if table is None else hard_models(instance, table)
    return _unchecked(instance, task=task, models=models)


def _unchecked(record: R, **changes: Any) -> R:
    """A copy that no file could hold: labels of no bits, floors that hard labels do not reach."""
    return cast(R, type(record).model_construct(**dict(record) | changes))


def hard_models(instance: Instance, table: Calibration) -> tuple[Model, ...]:
    """The instance's models with the table's accuracy of hard labels, at both places.

    Raises
    ------
    InputError
        When the table has none of a student.
    """
    curves = {curve.student: curve for curve in table.curves if curve.labels == "hard"}
    found = []
    for model in instance.models:
        if model.name not in curves:
            fault = f'curves: has none for "{model.name}" with hard labels; calibrate it'
            raise InputError(f"table of {table.data}", [fault])
        cells = curves[model.name].cells
        used = tuple(cell.used for cell in cells)
        sizes = tuple(float(cell.samples) for cell in cells)
        accuracy = model.accuracy.model_copy(
            update={"samples": sizes, "device": used, "server": used}
        )
        found.append(model.model_copy(update={"accuracy": accuracy}))
    return tuple(found)

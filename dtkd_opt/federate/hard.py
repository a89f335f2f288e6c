"""The baseline without twins and radio: every user trains alone on its device, with hard labels."""

from __future__ import annotations

from dtkd_opt.calibration import Calibration
from dtkd_opt.errors import InfeasibleError, InputError
from dtkd_opt.federate.planned import Planned
from dtkd_opt.instance import Instance, Model
from dtkd_opt.solve import solve


def hard_labels(instance: Instance, table: Calibration | None = None) -> Planned:
    """The plan of users that train alone: each the student that its device's speed allows.

    No soft labels are downloaded, so user n's delay is T_n = E_p D_n c_m / f_n at the fastest
    frequency within CPU and energy budget, and it takes the student of least T_n + ρ (1 - a_hard)
    among those that keep its deadline and accuracy floor. `federate` carries it out, with
    ``labels="hard"`` (so does `federate_all`).

    Parameters
    ----------
    instance
        The problem.
    table
        The calibrated table that a_hard is from. None: the instance's accuracy on the device takes
        its place.

    Returns
    -------
    Planned
        Its instance has a_hard as accuracy on the device, and labels of no bits.

    Raises
    ------
    InputError
        When the table has no hard labels of a student.
    InfeasibleError
        When a user has no student within its limits.
    """
    task = instance.task.model_copy(update={"bits_per_label": 0.0})
    models = instance.models if table is None else hard_models(instance, table)
    alone = instance.model_copy(update={"task": task, "models": models})
    result = solve(alone, "all-device")
    if result.incumbent is None:
        raise InfeasibleError(result.reason)
    return Planned(alone, result.solution, "hard")


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

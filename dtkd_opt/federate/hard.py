"""The baseline without twins and radio: every user trains alone on its device, with hard labels."""

from __future__ import annotations

import numpy as np

from dtkd_opt import physics
from dtkd_opt.calibration import Calibration
from dtkd_opt.choices import Choices
from dtkd_opt.errors import InfeasibleError, InputError, printable
from dtkd_opt.federate.planned import Planned
from dtkd_opt.instance import DEVICE, Instance, Model
from dtkd_opt.solve import solve

_NAMED = 8  # users in an error


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
    _check_limits(alone)
    result = solve(alone, "all-device")
    if result.incumbent is None:
        raise InfeasibleError(result.reason)
    return Planned(alone, result.solution, "hard")


def _check_limits(alone: Instance) -> None:
    """InfeasibleError naming the users that keep their limits with no student on their device."""
    count, many = len(alone.users), len(alone.models)
    user, model = np.divmod(np.arange(count * many), many)
    server = np.nanargmax(alone.users.channel_gain, axis=1)[user]  # nothing crosses
    chosen = Choices(alone, user, model, np.full(len(user), DEVICE), server)
    cycles = chosen.training_cycles()
    budget = [chosen.of_user(name) for name in ("cpu_hz", "kappa", "energy_j")]
    delay = physics.compute_delay(cycles, physics.device_frequency(cycles, *budget))
    kept = (delay <= chosen.of_user("deadline_s")) & (
        chosen.accuracy() >= chosen.of_user("min_accuracy")
    )
    without = np.flatnonzero(~kept.reshape(count, many).any(axis=1))
    if len(without):
        names = ", ".join(f'"{printable(alone.users[n].name)}"' for n in without[:_NAMED])
        rest = f" and {len(without) - _NAMED} more" if len(without) > _NAMED else ""
        fault = "no student keeps the limits when trained alone on the device, of"
        raise InfeasibleError(f"{printable(alone.name)} with hard labels: {fault} {names}{rest}")


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

"""The baseline without twins and radio: every user trains alone on its device, with hard labels."""

from __future__ import annotations

import numpy as np

from dtkd_opt.errors import InfeasibleError, printable
from dtkd_opt.federate.planned import Planned
from dtkd_opt.federate.table import alone, table_for
from dtkd_opt.methods.solve import solve
from dtkd_opt.problem import physics
from dtkd_opt.problem.demands import Demands
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.records.instance import DEVICE, Instance

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
        The calibrated table that a_hard is from. None: that of :func:`shipped_calibration` where
        the instance carries its task and models, by which `federate` trains such a plan on its
        data; else the instance's accuracy on the device takes its place.

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
    problem = alone(instance, table_for(instance, table))
    _check_limits(problem)
    result = solve(problem, "all-device")
    if result.incumbent is None:
        raise InfeasibleError(result.reason)
    return Planned(problem, result.solution, "hard")


def _check_limits(problem: Instance) -> None:
    """InfeasibleError naming the users that keep their limits with no student on their device."""
    count, many = len(problem.users), len(problem.models)
    user, model = np.divmod(np.arange(count * many), many)
    server = np.nanargmax(problem.users.channel_gain, axis=1)[user]  # nothing crosses
    chosen = Demands(problem, user, model, np.full(len(user), DEVICE), server)
    cycles = chosen.training_cycles()
    budget = [chosen.of_user(name) for name in ("cpu_hz", "kappa", "energy_j")]
    delay = physics.compute_delay(cycles, physics.device_frequency(cycles, *budget))
    kept = (delay <= chosen.of_user("deadline_s")) & (
        chosen.accuracy() >= chosen.of_user("min_accuracy")
    )
    without = np.flatnonzero(~kept.reshape(count, many).any(axis=1))
    if len(without):
        names = ", ".join(f'"{printable(problem.users[n].name)}"' for n in without[:_NAMED])
        rest = f" and {len(without) - _NAMED} more" if len(without) > _NAMED else ""
        fault = "no student keeps the limits when trained alone on the device, of"
        raise InfeasibleError(f"{printable(problem.name)} with hard labels: {fault} {names}{rest}")

"""The baseline without twins and radio: every user trains on its own device, with hard labels."""

from __future__ import annotations

import numpy as np

from dtkd_opt.errors import InfeasibleError, printable
from dtkd_opt.federation.calibration import calibration_for, local_problem
from dtkd_opt.federation.plan import FederationPlan
from dtkd_opt.methods.solve import solve
from dtkd_opt.problem.demands import Demands
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.records.instance import DEVICE, Instance

_MAX_NAMES = 8  # users in an error


def local_only(instance: Instance, calibration: Calibration | None = None) -> FederationPlan:
    """The plan of users that train locally only: each the student that its device's speed allows.

    No soft labels are downloaded, so user n's delay is T_n = E_p D_n c_m / f_n at the fastest
    frequency within CPU and energy budget, and it takes the student of least T_n + ρ (1 - a_hard)
    among those that keep its deadline and accuracy floor. `federate_all` carries it out.

    Parameters
    ----------
    instance
        The problem.
    calibration
        The source of a_hard. None: :func:`shipped_calibration` where the instance carries its task
        and models, by which `federate_all` trains such a plan on its data; else the instance's
        accuracy on the device takes its place.

    Returns
    -------
    FederationPlan
        Its instance has a_hard as accuracy on the device, and labels of no bits.

    Raises
    ------
    InputError
        When the calibration has no hard labels of a student.
    InfeasibleError
        When a user has no student within its limits.
    """
    problem = local_problem(instance, calibration_for(instance, calibration))
    _check_limits(problem)
    result = solve(problem, "all-device")
    if result.incumbent is None:
        raise InfeasibleError(result.reason)
    return FederationPlan(problem, result.solution, "hard")


def _check_limits(problem: Instance) -> None:
    """InfeasibleError naming the users whose limits no student keeps on their device."""
    count, many = len(problem.users), len(problem.models)
    user, model = np.divmod(np.arange(count * many), many)
    server = np.nanargmax(problem.users.channel_gain, axis=1)[user]  # whichever: no transfer
    chosen = Demands(problem, user, model, np.full(len(user), DEVICE), server)
    delay = chosen.device_delay_s(chosen.device_hz())
    kept = (delay <= chosen.of_user("deadline_s")) & (
        chosen.accuracy() >= chosen.of_user("min_accuracy")
    )
    without = np.flatnonzero(~kept.reshape(count, many).any(axis=1))
    if len(without):
        names = ", ".join(f'"{printable(problem.users[n].name)}"' for n in without[:_MAX_NAMES])
        rest = f" and {len(without) - _MAX_NAMES} more" if len(without) > _MAX_NAMES else ""
        fault = "no student keeps the limits when trained alone on the device, of"
        raise InfeasibleError(f"{printable(problem.name)} with hard labels: {fault} {names}{rest}")

"""`federate` and `federate_all`: what they take and give; `run` does it, with torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dtkd_opt.errors import UsageError
from dtkd_opt.federation.plan import FederationPlan
from dtkd_opt.federation.result import Federation
from dtkd_opt.federation.spec import FederationSpec
from dtkd_opt.records.arguments import as_callback, as_flag, as_path, as_record
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.solution import HasSolution, Solution, as_solution
from dtkd_opt.runtime.runner import PhaseCallback


def federate(
    instance: Instance,
    solution: Solution | HasSolution,
    spec: FederationSpec | None = None,
    *,
    output: str | Path | None = None,
    resume: bool = False,
    callback: PhaseCallback | None = None,
) -> Federation:
    """Carry a plan out: train each user's student where the plan says, with the data there.

    Each user gets its private samples, and its twin mirrors all but the fresh ones; the teacher is
    trained on what the twins mirror. On the device a student learns from soft labels of the
    mirrored samples, which are downloaded, and hard labels of the fresh ones. At the server it
    learns from soft labels of all, as the fresh samples are uploaded, and its weights are
    downloaded.

    Parameters
    ----------
    instance, solution
        The problem, and a feasible plan for it (or the result that has it); students must be
        networks of this package.
    spec
        Data, seed, engine and so on; None: the defaults of :class:`FederationSpec`.
    output
        Folder for users.jsonl, which grows as users finish, and in the end for users.csv,
        gantt.svg, accuracy.svg and summary.md. None: nothing is written.
    resume
        Go on with the users in `output`; failed ones are trained again, those that cannot be
        carried out are named again.
    callback
        Called with the phase, how much of it is done and all.

    Returns
    -------
    Federation
        Predicted and realised figures; after Ctrl-C, of the users that were done by then. Its
        `failed` names the users whose training failed, and those that cannot be carried out: with
        fewer `iid` samples than there are classes, or samples of one class only.

    Raises
    ------
    InputError
        For an infeasible plan, missing extras or data, a folder with other trainings, and where no
        user can be carried out (with `spec.strict`, where one cannot).
    """
    plans = {"plan": FederationPlan(instance, as_solution(solution))}
    federations = federate_all(plans, spec, output=output, resume=resume, callback=callback)
    return federations["plan"]


def federate_all(
    plans: Mapping[str, FederationPlan],
    spec: FederationSpec | None = None,
    *,
    output: str | Path | None = None,
    resume: bool = False,
    callback: PhaseCallback | None = None,
) -> dict[str, Federation]:
    """Carry several plans for the same users out, with the same shards and the same teacher.

    A training that two plans have in common (student, place, labels) runs once.

    Parameters
    ----------
    plans
        By name: of several, each has a folder of this name in `output` for its files. All trainings
        are in the one users.jsonl.
    spec, output, resume, callback
        As of :func:`federate`; without a calibration each plan is trained as it would be alone.

    Returns
    -------
    dict
        A federation for each plan.

    Raises
    ------
    UsageError, InputError
        As :func:`federate`; also where plans are for other users.
    """
    from dtkd_opt.federation.run import carry_out

    folder = None if output is None else as_path(output, "output")
    as_flag(resume, "resume")
    if not isinstance(plans, Mapping):
        raise UsageError("plans must map names to FederationPlan(instance, solution)")
    callback = as_callback(callback, "phase, done and total") or (lambda phase, done, total: None)
    spec = as_record(FederationSpec, spec, "spec")
    return carry_out(plans, spec, folder, resume, callback)

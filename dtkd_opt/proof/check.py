"""Check a solution against its instance: every figure is computed anew."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dtkd_opt.errors import KEPT_FAULTS
from dtkd_opt.methods.stop import relative_gap
from dtkd_opt.problem.evaluate import Evaluation, evaluate
from dtkd_opt.problem.physics import Array
from dtkd_opt.records.columns import Mask
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.solution import HasSolution, Solution, as_solution

TOLERANCE = 1e-9


def check(instance: Instance, solution: Solution | HasSolution) -> list[str]:
    """Everything that is wrong with a solution or result, in words; empty if nothing is.

    Checked are the instance's hash and names, feasibility (pools, frequencies, deadlines, energy,
    accuracy floors) and every reported figure to a relative 1e-9. The bound is held against the
    plan only, and "optimal" against why the method stopped: the target of the gap is not in
    the file, so judge by `gap`.
    """
    solution = as_solution(solution)
    faults = list(_identity_faults(instance, solution))
    if not solution.users:
        return [*faults, f"users: holds no plan (status {solution.status})"]
    faults += _name_faults(instance, solution)
    if faults:
        return faults
    evaluation = evaluate(instance, solution.users.to_plan(instance))
    return [
        *evaluation.violations,
        *_figure_faults(solution, evaluation),
        *_bound_faults(solution, evaluation),
    ]


def check_plan(
    instance: Instance, solution: Solution | HasSolution
) -> tuple[Evaluation | None, list[str]]:
    """The true figures of a solution's plan and what is wrong with it.

    The solution's own figures, and which file it was made for, do not matter.
    """
    solution = as_solution(solution)
    if faults := list(_name_faults(instance, solution)):
        return None, faults
    evaluation = evaluate(instance, solution.users.to_plan(instance))
    return evaluation, list(evaluation.violations)


def _identity_faults(instance: Instance, solution: Solution) -> Iterator[str]:
    if solution.instance != instance.name:
        yield f'instance: must be "{instance.name}", got "{solution.instance}"'
    if not instance.has_hash(solution.instance_sha256):
        yield "instance_sha256: is of another file; solve this instance again"


def _name_faults(instance: Instance, solution: Solution) -> Iterator[str]:
    if len(solution.users) != len(instance.users):
        yield f"users: must be {len(instance.users)}, one per user, got {len(solution.users)}"
        return
    plans, names = solution.users, instance.users.name
    other = plans.name != names
    numbered = plans.to_plan(instance)
    unknown_model, unknown_server = numbered.model < 0, numbered.server < 0
    for n in np.flatnonzero(other | unknown_model | unknown_server)[:KEPT_FAULTS].tolist():
        if other[n]:
            yield f'users[{n}].name: must be "{names[n]}", in the instance\'s order'
        if unknown_model[n]:
            yield f'users[{n}].model: must be a model of the instance, got "{plans.model[n]}"'
        if unknown_server[n]:
            yield f'users[{n}].server: must be a server of the instance, got "{plans.server[n]}"'


def _differs(reported: float | Array, true: float | Array) -> Mask:
    """Where a reported figure is not the true one to a relative 1e-9."""
    with np.errstate(invalid="ignore", over="ignore"):
        scale = np.maximum(np.abs(true), np.abs(reported))
        return np.asarray(~(np.abs(np.subtract(reported, true)) <= TOLERANCE * scale))


def _figure_faults(solution: Solution, evaluation: Evaluation) -> Iterator[str]:
    for key, true in (
        ("incumbent_objective", evaluation.objective),
        ("mean_accuracy", evaluation.mean_accuracy),
        ("total_delay_s", evaluation.total_delay_s),
    ):
        reported = getattr(solution, key)
        if reported is None or _differs(reported, true):
            yield f"{key}: is {true:.12g}, the file says {reported}"
    keys = ("delay_s", "accuracy", "energy_j")
    reported = {key: getattr(solution.users, key) for key in keys}
    wrong = {key: _differs(reported[key], getattr(evaluation, key)) for key in keys}
    for n in np.flatnonzero(np.logical_or.reduce(list(wrong.values())))[:KEPT_FAULTS].tolist():
        for key in keys:
            if wrong[key][n]:
                true = getattr(evaluation, key)[n]
                yield f"users[{n}].{key}: is {true:.12g}, the file says {reported[key][n]:.12g}"


def _bound_faults(solution: Solution, evaluation: Evaluation) -> Iterator[str]:
    if solution.status not in ("optimal", "feasible"):
        yield f'status: must be "optimal" or "feasible" with a plan, got "{solution.status}"'
    if solution.termination == "gap_reached" and solution.status != "optimal":
        yield f'status: must be "optimal" where the gap was reached, got "{solution.status}"'
    if solution.termination in ("infeasible", "no_plan_found"):
        yield f'termination: must not be "{solution.termination}" with a plan'
    bound = solution.objective_bound
    if bound is None:
        if solution.gap is not None:
            yield f"gap: must be null without a bound, got {solution.gap:g}"
        if solution.status == "optimal":
            yield 'status: must not be "optimal" without a bound'
        return
    if bound > evaluation.objective + TOLERANCE * abs(evaluation.objective):
        yield f"objective_bound: {bound:.12g} is above the plan's {evaluation.objective:.12g}"
    gap = relative_gap(evaluation.objective, bound)
    if solution.gap is None or abs(solution.gap - gap) > TOLERANCE:
        yield f"gap: is {gap:.6g}, the file says {solution.gap}"

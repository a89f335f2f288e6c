"""Check a solution against its instance: recompute every figure, believe none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np

from dtkd_opt.errors import KEPT_FAULTS
from dtkd_opt.methods.stop import relative_gap
from dtkd_opt.problem.evaluate import Evaluation, Plan, evaluate
from dtkd_opt.problem.physics import Array, Index
from dtkd_opt.records.columns import Mask, Texts
from dtkd_opt.records.instance import PLACES, Instance, Model, Server
from dtkd_opt.records.solution import Solution

TOLERANCE = 1e-9


def check(instance: Instance, solution: Solution) -> list[str]:
    """Everything that is wrong with a solution, in words; an empty list means it holds.

    Checked are the instance's hash and names, feasibility (pools, frequencies, deadlines, energy,
    accuracy floors) and every reported figure to a relative 1e-9. The bound is held against the
    plan only, and "optimal" against why the method stopped: the gap that was asked for is not in
    the file, so judge by `gap`.
    """
    faults = list(_identity_faults(instance, solution))
    if not solution.users:
        return [*faults, f"users: holds no plan (status {solution.status})"]
    faults += _name_faults(instance, solution)
    if faults:
        return faults
    evaluation = evaluate(instance, plan_of(instance, solution))
    return [
        *evaluation.violations,
        *_figure_faults(solution, evaluation),
        *_bound_faults(solution, evaluation),
    ]


def check_plan(instance: Instance, solution: Solution) -> tuple[Evaluation | None, list[str]]:
    """The true figures of a solution's plan and what is wrong with it; its own figures, and which
    file it was made for, are not looked at."""
    faults = list(_name_faults(instance, solution))
    if faults:
        return None, faults
    evaluation = evaluate(instance, plan_of(instance, solution))
    return evaluation, list(evaluation.violations)


def plan_of(instance: Instance, solution: Solution) -> Plan:
    """A solution's plan as arrays; its names must be the instance's."""
    users = solution.users
    return Plan(
        model=_numbers(users.model, instance.models),
        place=_numbers(users.place, PLACES),
        server=_numbers(users.server, instance.servers),
        uplink_hz=users.uplink_hz,
        downlink_hz=users.downlink_hz,
        cpu_hz=users.cpu_hz,
    )


def _numbers(names: Texts, known: Sequence[Model | Server | str]) -> Index:
    """(N,) the position of each name in what is known, -1 where it is not."""
    number = {item if isinstance(item, str) else item.name: i for i, item in enumerate(known)}
    return np.fromiter(map(number.get, names, repeat(-1)), np.int64, len(names))


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
    lost_model = _numbers(plans.model, instance.models) < 0
    lost_server = _numbers(plans.server, instance.servers) < 0
    for n in np.flatnonzero(other | lost_model | lost_server)[:KEPT_FAULTS].tolist():
        if other[n]:
            yield f'users[{n}].name: must be "{names[n]}", in the instance\'s order'
        if lost_model[n]:
            yield f'users[{n}].model: must be a model of the instance, got "{plans.model[n]}"'
        if lost_server[n]:
            yield f'users[{n}].server: must be a server of the instance, got "{plans.server[n]}"'


def _differs(claimed: float | Array, true: float | Array) -> Mask:
    """Where a claim is not true to a relative 1e-9."""
    with np.errstate(invalid="ignore", over="ignore"):
        largest = np.maximum(np.abs(true), np.abs(claimed))
        return np.asarray(~(np.abs(np.subtract(claimed, true)) <= TOLERANCE * largest))


def _figure_faults(solution: Solution, evaluation: Evaluation) -> Iterator[str]:
    for key, true in (
        ("incumbent_objective", evaluation.objective),
        ("mean_accuracy", evaluation.mean_accuracy),
        ("total_delay_s", evaluation.total_delay_s),
    ):
        claimed = getattr(solution, key)
        if claimed is None or _differs(claimed, true):
            yield f"{key}: is {true:.12g}, the file says {claimed}"
    keys = ("delay_s", "accuracy", "energy_j")
    claims = {key: getattr(solution.users, key) for key in keys}
    wrong = {key: _differs(claims[key], getattr(evaluation, key)) for key in keys}
    for n in np.flatnonzero(np.logical_or.reduce(list(wrong.values())))[:KEPT_FAULTS].tolist():
        for key in keys:
            if wrong[key][n]:
                true = getattr(evaluation, key)[n]
                yield f"users[{n}].{key}: is {true:.12g}, the file says {claims[key][n]:.12g}"


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

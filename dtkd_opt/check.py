"""Check a solution against its instance: recompute every figure, believe none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dtkd_opt.evaluate import Evaluation, Plan, evaluate
from dtkd_opt.instance import PLACES, Instance
from dtkd_opt.methods.search import relative_gap
from dtkd_opt.solution import Solution

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
    models = {model.name: m for m, model in enumerate(instance.models)}
    servers = {server.name: s for s, server in enumerate(instance.servers)}
    users = solution.users
    return Plan(
        model=np.array([models[u.model] for u in users]),
        place=np.array([PLACES.index(u.place) for u in users]),
        server=np.array([servers[u.server] for u in users]),
        uplink_hz=np.array([u.uplink_hz for u in users]),
        downlink_hz=np.array([u.downlink_hz for u in users]),
        cpu_hz=np.array([u.cpu_hz for u in users]),
    )


def _identity_faults(instance: Instance, solution: Solution) -> Iterator[str]:
    if solution.instance != instance.name:
        yield f'instance: must be "{instance.name}", got "{solution.instance}"'
    if solution.instance_sha256 != instance.sha256:
        yield "instance_sha256: is of another file; solve this instance again"


def _name_faults(instance: Instance, solution: Solution) -> Iterator[str]:
    if len(solution.users) != len(instance.users):
        yield f"users: must be {len(instance.users)}, one per user, got {len(solution.users)}"
        return
    models = {model.name for model in instance.models}
    servers = {server.name for server in instance.servers}
    for n, (user, row) in enumerate(zip(instance.users, solution.users, strict=True)):
        if row.name != user.name:
            yield f'users[{n}].name: must be "{user.name}", in the instance\'s order'
        if row.model not in models:
            yield f'users[{n}].model: must be a model of the instance, got "{row.model}"'
        if row.server not in servers:
            yield f'users[{n}].server: must be a server of the instance, got "{row.server}"'


def _differs(claimed: float, true: float) -> bool:
    return not abs(claimed - true) <= TOLERANCE * max(abs(true), abs(claimed))


def _figure_faults(solution: Solution, evaluation: Evaluation) -> Iterator[str]:
    for key, true in (
        ("incumbent_objective", evaluation.objective),
        ("mean_accuracy", evaluation.mean_accuracy),
        ("total_delay_s", evaluation.total_delay_s),
    ):
        claimed = getattr(solution, key)
        if claimed is None or _differs(claimed, true):
            yield f"{key}: is {true:.12g}, the file says {claimed}"
    columns = ("delay_s", "accuracy", "energy_j")
    for n, row in enumerate(solution.users):
        for key in columns:
            claimed, true = getattr(row, key), float(getattr(evaluation, key)[n])
            if _differs(claimed, true):
                yield f"users[{n}].{key}: is {true:.12g}, the file says {claimed:.12g}"


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

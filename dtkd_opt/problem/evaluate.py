"""Recompute a plan from the instance alone: delays, energies, accuracy, objective, violations.

Nothing here comes from a solver or the options: whatever a method reports is judged by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dtkd_opt.errors import KEPT_FAULTS
from dtkd_opt.problem import physics
from dtkd_opt.problem.delays import stage_delays
from dtkd_opt.problem.demands import Demands, pool_capacity
from dtkd_opt.records.arguments import as_kind
from dtkd_opt.records.arrays import Array, Mask
from dtkd_opt.records.instance import DEVICE, POOLS, Instance, as_instance
from dtkd_opt.records.plan import Plan

TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A plan's true figures."""

    objective: float  # J [s]
    delay_s: Array  # (N,) T_n [s]
    accuracy: Array  # (N,) a_n
    energy_j: Array  # (N,) that each device spends [J]
    violations: tuple[str, ...]  # empty if and only if the plan is feasible to 1e-9

    @property
    def mean_accuracy(self) -> float:
        """Mean of the users' accuracies."""
        return float(self.accuracy.mean())

    @property
    def total_delay_s(self) -> float:
        """Sum of the users' delays [s]."""
        return float(self.delay_s.sum())


def evaluate(instance: Instance, plan: Plan) -> Evaluation:
    """Figures and violations of a plan.

    Parameters
    ----------
    instance, plan
        The problem, and what every user does.

    Returns
    -------
    Evaluation
        `objective` is J in seconds, inf where a needed share is zero; limits are held to a
        relative 1e-9.

    Raises
    ------
    InputError
        When a column of the plan is of another shape, or names what the instance does not have.
    """
    as_kind(Plan, plan, "plan must be a Plan: result.plan, or solution.users.to_plan(instance)")
    plan = plan.of_size(as_instance(instance))
    chosen = Demands.of_plan(instance, plan)
    stages = stage_delays(chosen, plan.uplink_hz, plan.downlink_hz, plan.compute_hz)
    accuracy, delay = chosen.accuracy(), stages.total()
    energy = _energy(chosen, plan, stages.upload)
    with np.errstate(invalid="ignore"):
        objective = float(np.mean(delay + instance.seconds_per_error * (1 - accuracy)))
    violations = (
        *_limit_violations(instance, plan, delay, accuracy, energy),
        *_pool_violations(instance, plan),
    )
    return Evaluation(objective, delay, accuracy, energy, violations)


def _energy(chosen: Demands, plan: Plan, upload_s: Array) -> Array:
    """What the device spends [J]: its radio for the server, its CPU on the device."""
    return np.where(
        chosen.on_server,
        physics.upload_energy(chosen.of_user("tx_power_w"), upload_s),
        physics.compute_energy(chosen.training_cycles(), plan.device_hz, chosen.of_user("kappa")),
    )


def _limit_violations(
    instance: Instance, plan: Plan, delay: Array, accuracy: Array, energy: Array
) -> Iterator[str]:
    """Every user's limit that the plan breaks, in words; of very many the first."""
    violated = _violated_limits(instance, plan, delay, accuracy, energy)
    users = np.flatnonzero(np.logical_or.reduce([mask for mask, _ in violated]))
    for n in users[:KEPT_FAULTS].tolist():
        for mask, words in violated:
            if mask[n]:
                yield f'users[{n}] "{instance.users.name[n]}": {words(n)}'
    if len(users) > KEPT_FAULTS:
        yield f"users: … and {len(users) - KEPT_FAULTS} more of them break a limit"


def _violated_limits(
    instance: Instance, plan: Plan, delay: Array, accuracy: Array, energy: Array
) -> list[tuple[Mask, Callable[[int], str]]]:
    """For each kind of limit: the users that break it, and the words for one of them."""
    users, servers, more = instance.users, instance.servers, 1 + TOLERANCE
    shares = (plan.uplink_hz, plan.downlink_hz, plan.cpu_hz, plan.device_hz)
    lost = np.isnan(users.channel_gain[np.arange(len(users)), plan.server])
    return [
        (
            ~np.logical_and.reduce([share >= 0 for share in shares]),
            lambda n: "has a share that is negative or not a number",
        ),
        (lost, lambda n: f'cannot reach server "{servers[plan.server[n]].name}"'),
        (~lost & ~np.isfinite(delay), lambda n: "has no share of a pool that it needs"),
        (
            (plan.place == DEVICE) & (plan.device_hz > users.cpu_hz * more),
            lambda n: f"cpu_hz {plan.device_hz[n]:.10g} is above its CPU's {users.cpu_hz[n]:g}",
        ),
        (
            delay > users.deadline_s * more,
            lambda n: f"deadline_s is {users.deadline_s[n]:g}, the plan takes {delay[n]:.10g}",
        ),
        (
            energy > users.energy_j * more,
            lambda n: f"energy_j is {users.energy_j[n]:g}, the plan takes {energy[n]:.10g}",
        ),
        (
            accuracy < users.min_accuracy - TOLERANCE,
            lambda n: (
                f"min_accuracy is {users.min_accuracy[n]:g}, the plan gives {accuracy[n]:.6g}"
            ),
        ),
    ]


def _pool_violations(instance: Instance, plan: Plan) -> Iterator[str]:
    """Every pool whose shares exceed its size."""
    shares = (plan.uplink_hz, plan.downlink_hz, plan.cpu_hz)
    for name, capacity, share in zip(POOLS, pool_capacity(instance), shares, strict=True):
        used = np.bincount(plan.server, share, minlength=len(capacity))
        for s in np.flatnonzero(used > capacity * (1 + TOLERANCE)):
            yield (
                f'servers[{s}] "{instance.servers[s].name}": its {name} pool of {capacity[s]:g} is '
                f"overdrawn, shares add up to {used[s]:.10g}"
            )

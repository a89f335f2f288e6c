"""Recompute a plan from the instance alone: delays, energies, accuracy, objective, violations.

Nothing here reads a solver's word, or the option table: a claim of any method is judged by it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dtkd_opt import physics
from dtkd_opt.instance import DEVICE, PLACES, POOLS, SERVER, Instance
from dtkd_opt.physics import Array, Index

TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Plan:
    """What every user does; all arrays of shape (N,)."""

    model: Index
    place: Index  # DEVICE or SERVER
    server: Index
    uplink_hz: Array
    downlink_hz: Array
    cpu_hz: Array  # the device's frequency where place is DEVICE, else the share of the server


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A plan's true figures."""

    objective: float  # J [s]
    delay_s: Array  # (N,)
    accuracy: Array  # (N,)
    energy_j: Array  # (N,)
    violations: tuple[str, ...]  # empty if and only if the plan is feasible to 1e-9

    @property
    def mean_accuracy(self) -> float:
        return float(self.accuracy.mean())

    @property
    def total_delay_s(self) -> float:
        return float(self.delay_s.sum())


def evaluate(instance: Instance, plan: Plan) -> Evaluation:
    """Figures and violations of a plan.

    Parameters
    ----------
    instance, plan
        The problem and what every user does.

    Returns
    -------
    Evaluation
        `objective` is J in seconds, inf where a needed share is zero; limits are held to a
        relative 1e-9.
    """
    figures = _figures(instance, plan)
    delay, accuracy, energy = figures
    rho = instance.seconds_per_error
    with np.errstate(invalid="ignore"):
        objective = float(np.mean(delay + rho * (1 - accuracy)))
    violations = (*_limit_violations(instance, plan, *figures), *_pool_violations(instance, plan))
    return Evaluation(objective, delay, accuracy, energy, violations)


def _figures(instance: Instance, plan: Plan) -> tuple[Array, Array, Array]:
    """Delay [s], accuracy and device energy [J] of every user."""
    task, users = instance.task, instance.users
    chosen = [instance.models[m] for m in plan.model]
    servers = [instance.servers[s] for s in plan.server]
    on_server = plan.place == SERVER
    samples = np.array([u.samples for u in users], float)
    fresh = np.array([u.fresh_fraction for u in users])
    power = np.array([u.tx_power_w for u in users])
    kappa = np.array([u.kappa for u in users])
    gains = [u.channel_gain[s] for u, s in zip(users, plan.server, strict=True)]
    gain = np.array([0.0 if g is None else g for g in gains])
    noise = np.array([s.noise_w_per_hz for s in servers])
    training = physics.training_cycles(
        samples, task.epochs, np.array([m.cycles_per_sample for m in chosen])
    )
    labelling = physics.labelling_cycles(samples, fresh, task.teacher_cycles_per_sample)
    upload = np.where(on_server, physics.fresh_bits(samples, fresh, task.bits_per_sample), 0.0)
    download = np.where(
        on_server,
        np.array([m.bits for m in chosen], float),
        physics.label_bits(samples, fresh, task.bits_per_label),
    )
    cycles = np.where(on_server, labelling + training, training)
    efficiency = physics.downlink_efficiency(
        np.array([s.tx_power_w for s in servers]),
        gain,
        noise,
        np.array([s.downlink_hz for s in servers]),
    )
    rate = physics.uplink_rate(plan.uplink_hz, physics.uplink_snr_hz(power, gain, noise))
    upload_delay = physics.transfer_delay(upload, rate)
    download_delay = physics.transfer_delay(
        download, physics.downlink_rate(plan.downlink_hz, efficiency)
    )
    delay = upload_delay + download_delay + physics.compute_delay(cycles, plan.cpu_hz)
    energy = np.where(
        on_server,
        physics.upload_energy(power, upload_delay),
        physics.compute_energy(training, plan.cpu_hz, kappa),
    )
    accuracy = np.array(
        [
            m.accuracy.at(u.samples, PLACES[p])
            for m, u, p in zip(chosen, users, plan.place, strict=True)
        ]
    )
    return delay, accuracy, energy


def _limit_violations(
    instance: Instance, plan: Plan, delay: Array, accuracy: Array, energy: Array
) -> list[str]:
    """Every user's limit that the plan breaks, in words."""
    found = []
    shares = np.array([plan.uplink_hz, plan.downlink_hz, plan.cpu_hz])
    for n, user in enumerate(instance.users):
        where = f'users[{n}] "{user.name}"'
        if not (shares[:, n] >= 0).all():
            found.append(f"{where}: has a share that is negative or not a number")
        if user.channel_gain[plan.server[n]] is None:
            found.append(f'{where}: cannot reach server "{instance.servers[plan.server[n]].name}"')
        elif not np.isfinite(delay[n]):
            found.append(f"{where}: has no share of a pool that it needs")
        if plan.place[n] == DEVICE and plan.cpu_hz[n] > user.cpu_hz * (1 + TOLERANCE):
            found.append(
                f"{where}: cpu_hz {plan.cpu_hz[n]:.10g} is above its CPU's {user.cpu_hz:g}"
            )
        for name, value in (("deadline_s", delay[n]), ("energy_j", energy[n])):
            limit = getattr(user, name)
            if limit is not None and value > limit * (1 + TOLERANCE):
                found.append(f"{where}: {name} is {limit:g}, the plan takes {value:.10g}")
        if user.min_accuracy is not None and accuracy[n] < user.min_accuracy - TOLERANCE:
            found.append(
                f"{where}: min_accuracy is {user.min_accuracy:g}, the plan gives {accuracy[n]:.6g}"
            )
    return found


def _pool_violations(instance: Instance, plan: Plan) -> list[str]:
    """Every pool that is handed out more than once over."""
    cpu = np.where(plan.place == SERVER, plan.cpu_hz, 0.0)
    found = []
    for name, key, shares in zip(
        POOLS,
        ("uplink_hz", "downlink_hz", "cpu_hz"),
        (plan.uplink_hz, plan.downlink_hz, cpu),
        strict=True,
    ):
        used = np.bincount(plan.server, shares, minlength=len(instance.servers))
        for s, server in enumerate(instance.servers):
            capacity = getattr(server, key)
            if used[s] > capacity * (1 + TOLERANCE):
                found.append(
                    f'servers[{s}] "{server.name}": its {name} pool of {capacity:g} is overdrawn, '
                    f"shares add up to {used[s]:.10g}"
                )
    return found

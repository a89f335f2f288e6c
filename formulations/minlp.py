"""The problem as stated: a mixed-integer nonlinear program in each user's own variables.

Exact, but not convex as written: each delay times the speed bought must carry the chosen load
(products rather than quotients, so that idle shares may be zero). `perspective` is the same
problem in convex form. Units inside: MHz, Mbit, Mbit/s, Gcycles, Gcycles/s, seconds.

| symbol | code | unit | meaning |
|---|---|---|---|
| x_{n,m,s}^place | x[n, m, place, s] | – | user n trains model m at place, served by s |
| b_{n,s}^ul | uplink_share[n, s] | MHz | share of the uplink band |
| b_{n,s}^dl | downlink_share[n, s] | MHz | share of the downlink band |
| f_{n,s} | cpu_share[n, s] | Gcycles/s | share of the server's CPU |
| f_n | device_frequency[n] | Gcycles/s | frequency of the device's CPU |
| r_{n,s}^ul | uplink_rate[n, s] | Mbit/s | uplink rate |
| t_{n,s}^ul | upload_delay[n, s] | s | delay of the upload to server s |
| t_{n,s}^dl | download_delay[n, s] | s | delay of the download from server s |
| t_{n,s}^srv | server_delay[n, s] | s | delay of computing at server s |
| t_n^dev | device_delay[n] | s | delay of training on the device |
| T_n | delay[n] | s | delay of user n |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.core as pyo

from dtkd_opt.formulations.units import GIGA, MEGA
from dtkd_opt.problem import physics
from dtkd_opt.problem.physics import LN2
from dtkd_opt.records.instance import PLACES, Instance

IDLE_SHARE = 1e-7  # of the uplink band: keeps the logarithm defined, far below any tolerance


@dataclass(frozen=True)
class Constants:
    """The constants of the model in its units."""

    fresh: list[float]  # φ D β [Mbit], a user each
    labels: list[float]  # (1 - φ) D λ [Mbit]
    labelling: list[float]  # φ D c_T [Gcycles]
    training: list[list[float]]  # E_p D c_m [Gcycles], users by models
    snr: list[list[float]]  # γ = p g / N0 [MHz], users by servers
    efficiency: list[list[float]]  # log2(1 + P g / (N0 B_dl)) [bit/s/Hz]


def gather_constants(instance: Instance) -> Constants:
    """The constants of an instance; NaN for servers out of reach."""
    task, users, servers = instance.task, instance.users, instance.servers
    samples, fresh, power = users.samples.astype(float), users.fresh_fraction, users.tx_power_w
    cycles = np.array([m.cycles_per_sample for m in instance.models])
    gain = users.channel_gain
    noise = np.array([s.noise_w_per_hz for s in servers])
    band = np.array([s.downlink_hz for s in servers])
    server_power = np.array([s.tx_power_w for s in servers])
    labelling = physics.labelling_cycles(samples, fresh, task.teacher_cycles_per_sample)
    training = physics.training_cycles(samples[:, None], task.epochs, cycles)
    return Constants(
        fresh=(physics.fresh_bits(samples, fresh, task.bits_per_sample) / MEGA).tolist(),
        labels=(physics.label_bits(samples, fresh, task.bits_per_label) / MEGA).tolist(),
        labelling=(labelling / GIGA).tolist(),
        training=(training / GIGA).tolist(),
        snr=(physics.uplink_snr_hz(power[:, None], gain, noise) / MEGA).tolist(),
        efficiency=physics.downlink_efficiency(server_power, gain, noise, band).tolist(),
    )


def build(instance: Instance) -> pyo.ConcreteModel:
    """The MINLP of an instance, all decisions in one model."""
    model = pyo.ConcreteModel(instance.name)
    model.instance, model.constants = instance, gather_constants(instance)
    _sets(model)
    _variables(model)
    model.one_option = pyo.Constraint(model.N, rule=_one_option)
    model.accuracy_floors = pyo.Constraint(model.N, rule=_accuracy_floor)
    model.pools = pyo.Constraint(range(3), model.S, rule=_pool)
    model.uplink_rates = pyo.Constraint(model.R, rule=_uplink_rate)
    model.upload_delays = pyo.Constraint(model.R, rule=_upload_delay)
    model.download_delays = pyo.Constraint(model.R, rule=_download_delay)
    model.server_delays = pyo.Constraint(model.R, rule=_server_delay)
    model.device_delays = pyo.Constraint(model.N, rule=_device_delay)
    model.delays = pyo.Constraint(model.N, rule=_total_delay)
    model.upload_energy = pyo.Constraint(model.R, rule=_upload_energy)
    model.device_energy = pyo.Constraint(model.N, rule=_device_energy)
    model.J = pyo.Objective(rule=_objective)
    return model


def _sets(model: pyo.ConcreteModel) -> None:
    """N users, S servers, R reachable pairs (n, s), K options (n, m, place, s)."""
    instance = model.instance
    model.N = pyo.RangeSet(0, len(instance.users) - 1)
    model.S = pyo.RangeSet(0, len(instance.servers) - 1)
    model.R = pyo.Set(
        dimen=2,
        initialize=[
            (n, s)
            for n, user in enumerate(instance.users)
            for s, gain in enumerate(user.channel_gain)
            if gain is not None
        ],
    )
    model.K = pyo.Set(
        dimen=4,
        initialize=[
            (n, m, place, s)
            for n, s in model.R
            for m in range(len(instance.models))
            for place in PLACES
        ],
    )


def _variables(model: pyo.ConcreteModel) -> None:
    """Choice, shares of the three pools, device frequency, rates and delays."""
    instance = model.instance
    model.x = pyo.Var(model.K, domain=pyo.Binary)
    model.uplink_share = _shares(model, "uplink_hz", MEGA, IDLE_SHARE)
    model.downlink_share = _shares(model, "downlink_hz", MEGA)
    model.cpu_share = _shares(model, "cpu_hz", GIGA)
    model.device_frequency = pyo.Var(
        model.N,
        bounds=lambda m, n: (0, instance.users[n].cpu_hz / GIGA),
        initialize=lambda m, n: instance.users[n].cpu_hz / GIGA,
    )
    model.uplink_rate = pyo.Var(model.R, bounds=lambda m, n, s: (0, _max_rate(m, n, s)))
    model.upload_delay = pyo.Var(model.R, bounds=(0, None))
    model.download_delay = pyo.Var(model.R, bounds=(0, None))
    model.server_delay = pyo.Var(model.R, bounds=(0, None))
    model.device_delay = pyo.Var(model.N, bounds=(0, None))
    model.delay = pyo.Var(model.N, bounds=lambda m, n: (0, instance.users[n].deadline_s))


def _max_rate(model: pyo.ConcreteModel, n: int, s: int) -> float:
    """r_ul of the server's whole band [Mbit/s], which no share exceeds."""
    band = np.array(model.instance.servers[s].uplink_hz / MEGA)
    return float(physics.uplink_rate(band, np.array(model.constants.snr[n][s])))


def _shares(model: pyo.ConcreteModel, key: str, unit: float, idle: float = 0.0) -> pyo.Var:
    """A share in [idle · C_s, C_s] for each reachable pair, started at equal shares."""
    capacity = [getattr(server, key) / unit for server in model.instance.servers]
    return pyo.Var(
        model.R,
        bounds=lambda _, n, s: (idle * capacity[s], capacity[s]),
        initialize=lambda _, n, s: capacity[s] / len(model.instance.users),
    )


def _chosen(model: pyo.ConcreteModel, n: int, place: str, s: int) -> Any:
    """Σ_m x_{n,m,s}^place, 1 if user n trains at `place` served by s."""
    return pyo.quicksum(model.x[n, m, place, s] for m in range(len(model.instance.models)))


def _one_option(model: pyo.ConcreteModel, n: int) -> Any:
    """Σ_{m, place, s} x_{n,m,s}^place = 1."""
    return pyo.quicksum(model.x[k] for k in model.K if k[0] == n) == 1


def _accuracy(model: pyo.ConcreteModel, n: int) -> Any:
    """a_n = Σ a_m^place(D_n) x_{n,m,s}^place."""
    instance = model.instance
    samples = instance.users[n].samples
    return pyo.quicksum(
        instance.models[m].accuracy.at(samples, place) * model.x[i, m, place, s]
        for i, m, place, s in model.K
        if i == n
    )


def _accuracy_floor(model: pyo.ConcreteModel, n: int) -> Any:
    """a_n ≥ A_n."""
    floor = model.instance.users[n].min_accuracy
    return pyo.Constraint.Skip if floor is None else _accuracy(model, n) >= floor


def _pool(model: pyo.ConcreteModel, p: int, s: int) -> Any:
    """Σ_n b_{n,s}^ul ≤ B_s^ul and Σ_n b_{n,s}^dl ≤ B_s^dl [MHz], Σ_n f_{n,s} ≤ F_s [Gcycles/s]."""
    of_pool = (model.uplink_share, model.downlink_share, model.cpu_share)[p]
    shares = [of_pool[n, server] for n, server in model.R if server == s]
    return pyo.quicksum(shares) <= shares[0].ub if shares else pyo.Constraint.Skip


def _uplink_rate(model: pyo.ConcreteModel, n: int, s: int) -> Any:
    """r_ul ≤ b log2(1 + γ / b) [Mbit/s], γ = p g / N0."""
    b = model.uplink_share[n, s]
    return model.uplink_rate[n, s] <= b * pyo.log(1 + model.constants.snr[n][s] / b) / LN2


def _upload_delay(model: pyo.ConcreteModel, n: int, s: int) -> Any:
    """t^ul r_ul ≥ φ D β where trained at the server [Mbit]."""
    bits = model.constants.fresh[n]
    if bits == 0:
        return pyo.Constraint.Skip
    return model.upload_delay[n, s] * model.uplink_rate[n, s] >= bits * _chosen(
        model, n, "server", s
    )


def _download_delay(model: pyo.ConcreteModel, n: int, s: int) -> Any:
    """t^dl b ≥ load / e; labels (1-φ) D λ to the device, or weights s_m from the server [Mbit]."""
    labels = model.constants.labels[n] * _chosen(model, n, "device", s)
    weights = pyo.quicksum(
        student.bits / MEGA * model.x[n, m, "server", s]
        for m, student in enumerate(model.instance.models)
    )
    load = (labels + weights) / model.constants.efficiency[n][s]
    return model.download_delay[n, s] * model.downlink_share[n, s] >= load


def _training_cycles(model: pyo.ConcreteModel, n: int, place: str, s: int) -> Any:
    """Σ_m E_p D c_m x_{n,m,s}^place [Gcycles]."""
    cycles = model.constants.training[n]
    return pyo.quicksum(c * model.x[n, m, place, s] for m, c in enumerate(cycles))


def _server_delay(model: pyo.ConcreteModel, n: int, s: int) -> Any:
    """t^srv f ≥ φ D c_T + E_p D c_m where trained at the server [Gcycles]."""
    load = model.constants.labelling[n] * _chosen(model, n, "server", s)
    load += _training_cycles(model, n, "server", s)
    return model.server_delay[n, s] * model.cpu_share[n, s] >= load


def _device_delay(model: pyo.ConcreteModel, n: int) -> Any:
    """t^dev f_n ≥ E_p D c_m where trained on the device [Gcycles]."""
    load = pyo.quicksum(_training_cycles(model, n, "device", s) for i, s in model.R if i == n)
    return model.device_delay[n] * model.device_frequency[n] >= load


def _total_delay(model: pyo.ConcreteModel, n: int) -> Any:
    """T_n ≥ t^dev + Σ_s t^ul + t^dl + t^srv [s]; the upper bound of T_n is the deadline."""
    parts = (
        model.upload_delay[i, s] + model.download_delay[i, s] + model.server_delay[i, s]
        for i, s in model.R
        if i == n
    )
    return model.delay[n] >= model.device_delay[n] + pyo.quicksum(parts)


def _upload_energy(model: pyo.ConcreteModel, n: int, s: int) -> Any:
    """p_n t^ul ≤ E_n [J]."""
    user = model.instance.users[n]
    if user.energy_j is None:
        return pyo.Constraint.Skip
    return user.tx_power_w * model.upload_delay[n, s] <= user.energy_j


def _device_energy(model: pyo.ConcreteModel, n: int) -> Any:
    """κ_n f_n² · Σ_m E_p D c_m x_{n,m}^device ≤ E_n [J]."""
    user = model.instance.users[n]
    if user.energy_j is None or user.kappa == 0:
        return pyo.Constraint.Skip
    load = pyo.quicksum(_training_cycles(model, n, "device", s) for i, s in model.R if i == n)
    joules_at_1_ghz = user.kappa * GIGA**3
    return joules_at_1_ghz * model.device_frequency[n] ** 2 * load <= user.energy_j


def _objective(model: pyo.ConcreteModel) -> Any:
    """J = (1/N) Σ_n [ T_n + ρ (1 - a_n) ] [s]."""
    rho = model.instance.seconds_per_error
    total = pyo.quicksum(model.delay[n] + rho * (1 - _accuracy(model, n)) for n in model.N)
    return total / len(model.instance.users)

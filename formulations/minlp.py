"""The problem as stated: a mixed-integer nonlinear program in each user's own variables.

Exact, but not convex as written: delays are quotients of a chosen load and a chosen share.
`perspective` is the same problem in convex form. Units inside: MHz, Mbit, GHz, Gcycles, seconds.

| symbol | code | unit | meaning |
|---|---|---|---|
| x_{n,m,s}^place | x[n, m, place, s] | – | user n trains model m at place, served by s |
| b_{n,s}^ul, b_{n,s}^dl | uplink[n, s], downlink[n, s] | MHz | bandwidth shares |
| f_{n,s} | cpu[n, s] | Gcycles/s | share of the server's CPU |
| f_n | device_cpu[n] | Gcycles/s | frequency of the device's CPU |
| T_n | delay[n] | s | delay of user n |
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.core as pyo

from dtkd_opt import physics
from dtkd_opt.instance import PLACES, Instance

MEGA, GIGA = 1e6, 1e9
# Idle shares stay a little above zero, since delays divide by them: far below any tolerance.
IDLE = 1e-7


def build(instance: Instance) -> pyo.ConcreteModel:
    """The MINLP of an instance, all decisions in one model."""
    model = pyo.ConcreteModel(instance.name)
    model.data = instance
    _sets(model)
    _variables(model)
    model.one_option = pyo.Constraint(model.N, rule=_one_option)
    model.accuracy_floors = pyo.Constraint(model.N, rule=_accuracy_floor)
    model.uplink_pool = pyo.Constraint(model.S, rule=_uplink_pool)
    model.downlink_pool = pyo.Constraint(model.S, rule=_downlink_pool)
    model.cpu_pool = pyo.Constraint(model.S, rule=_cpu_pool)
    model.delays = pyo.Constraint(model.N, rule=_delay)
    model.upload_energy = pyo.Constraint(model.N, rule=_upload_energy)
    model.device_energy = pyo.Constraint(model.N, rule=_device_energy)
    model.J = pyo.Objective(rule=_objective)
    return model


def _sets(model: pyo.ConcreteModel) -> None:
    """N users, S servers, R reachable pairs (n, s), K options (n, m, place, s)."""
    data = model.data
    model.N = pyo.RangeSet(0, len(data.users) - 1)
    model.S = pyo.RangeSet(0, len(data.servers) - 1)
    model.R = pyo.Set(
        dimen=2,
        initialize=[
            (n, s)
            for n, user in enumerate(data.users)
            for s, gain in enumerate(user.channel_gain)
            if gain is not None
        ],
    )
    model.K = pyo.Set(
        dimen=4,
        initialize=[
            (n, m, place, s)
            for n, s in model.R
            for m in range(len(data.models))
            for place in PLACES
        ],
    )


def _variables(model: pyo.ConcreteModel) -> None:
    """Choice, shares of the three pools, device frequency and delay; started at equal shares."""
    data, size = model.data, len(model.data.users)
    model.x = pyo.Var(model.K, domain=pyo.Binary)

    def share(key: str, unit: float) -> pyo.Var:
        capacity = [getattr(server, key) / unit for server in data.servers]
        return pyo.Var(
            model.R,
            bounds=lambda _, n, s: (IDLE * capacity[s], capacity[s]),
            initialize=lambda _, n, s: capacity[s] / size,
        )

    model.uplink = share("uplink_hz", MEGA)
    model.downlink = share("downlink_hz", MEGA)
    model.cpu = share("cpu_hz", GIGA)
    model.device_cpu = pyo.Var(
        model.N,
        bounds=lambda m, n: (IDLE * data.users[n].cpu_hz / GIGA, data.users[n].cpu_hz / GIGA),
        initialize=lambda m, n: data.users[n].cpu_hz / GIGA,
    )
    model.delay = pyo.Var(model.N, bounds=lambda m, n: (0, data.users[n].deadline_s))


def _chosen(model: pyo.ConcreteModel, n: int, place: str, s: int) -> Any:
    """Σ_m x_{n,m,s}^place, 1 if user n trains at `place` served by s."""
    return pyo.quicksum(model.x[n, m, place, s] for m in range(len(model.data.models)))


def _one_option(model: pyo.ConcreteModel, n: int) -> Any:
    """Σ_{m, place, s} x_{n,m,s}^place = 1."""
    return pyo.quicksum(model.x[k] for k in model.K if k[0] == n) == 1


def _accuracy(model: pyo.ConcreteModel, n: int) -> Any:
    """a_n = Σ a_m^place(D_n) x_{n,m,s}^place."""
    data = model.data
    samples = data.users[n].samples
    return pyo.quicksum(
        data.models[m].accuracy.at(samples, place) * model.x[i, m, place, s]
        for i, m, place, s in model.K
        if i == n
    )


def _accuracy_floor(model: pyo.ConcreteModel, n: int) -> Any:
    """a_n ≥ A_n."""
    floor = model.data.users[n].min_accuracy
    return pyo.Constraint.Skip if floor is None else _accuracy(model, n) >= floor


def _uplink_pool(model: pyo.ConcreteModel, s: int) -> Any:
    """Σ_n b_{n,s}^ul ≤ B_s^ul [MHz]."""
    return _sum_of(model, model.uplink, s, model.data.servers[s].uplink_hz / MEGA)


def _downlink_pool(model: pyo.ConcreteModel, s: int) -> Any:
    """Σ_n b_{n,s}^dl ≤ B_s^dl [MHz]."""
    return _sum_of(model, model.downlink, s, model.data.servers[s].downlink_hz / MEGA)


def _cpu_pool(model: pyo.ConcreteModel, s: int) -> Any:
    """Σ_n f_{n,s} ≤ F_s [Gcycles/s]."""
    return _sum_of(model, model.cpu, s, model.data.servers[s].cpu_hz / GIGA)


def _sum_of(model: pyo.ConcreteModel, shares: pyo.Var, s: int, capacity: float) -> Any:
    users = [n for n, server in model.R if server == s]
    if not users:
        return pyo.Constraint.Skip
    return pyo.quicksum(shares[n, s] for n in users) <= capacity


def _upload_delay(model: pyo.ConcreteModel, n: int) -> Any:
    """φ D β / r_ul(b), r_ul(b) = b log2(1 + p g / (N0 b)), where trained at the server [s]."""
    data, user = model.data, model.data.users[n]
    bits = physics.fresh_bits(user.samples, user.fresh_fraction, data.task.bits_per_sample) / MEGA
    if bits == 0:
        return 0.0
    terms = []
    for s in (s for i, s in model.R if i == n):
        server, b = data.servers[s], model.uplink[n, s]
        snr = user.tx_power_w * user.channel_gain[s] / server.noise_w_per_hz / MEGA
        rate = b * pyo.log(1 + snr / b) / float(np.log(2))
        terms.append(bits * _chosen(model, n, "server", s) / rate)
    return pyo.quicksum(terms)


def _download_delay(model: pyo.ConcreteModel, n: int) -> Any:
    """Labels to the device, (1-φ) D λ / r_dl(b), or weights from the server, s_m / r_dl(b) [s]."""
    data, user = model.data, model.data.users[n]
    labels = physics.label_bits(user.samples, user.fresh_fraction, data.task.bits_per_label) / MEGA
    terms = []
    for s in (s for i, s in model.R if i == n):
        server = data.servers[s]
        efficiency = physics.downlink_efficiency(
            server.tx_power_w, user.channel_gain[s], server.noise_w_per_hz, server.downlink_hz
        )
        load = labels * _chosen(model, n, "device", s) + pyo.quicksum(
            student.bits / MEGA * model.x[n, m, "server", s] for m, student in enumerate(data.models)
        )
        terms.append(load / (float(efficiency) * model.downlink[n, s]))
    return pyo.quicksum(terms)


def _training(model: pyo.ConcreteModel, n: int, place: str, s: int) -> Any:
    """Σ_m E_p D c_m x_{n,m,s}^place [Gcycles]."""
    data, samples = model.data, model.data.users[n].samples
    return pyo.quicksum(
        physics.training_cycles(samples, data.task.epochs, student.cycles_per_sample)
        / GIGA
        * model.x[n, m, place, s]
        for m, student in enumerate(data.models)
    )


def _compute_delay(model: pyo.ConcreteModel, n: int) -> Any:
    """E_p D c_m / f_n on the device, (φ D c_T + E_p D c_m) / f_{n,s} at the server [s]."""
    data, user = model.data, model.data.users[n]
    labelling = physics.labelling_cycles(
        user.samples, user.fresh_fraction, data.task.teacher_cycles_per_sample
    )
    servers = [s for i, s in model.R if i == n]
    device = pyo.quicksum(_training(model, n, "device", s) for s in servers) / model.device_cpu[n]
    return device + pyo.quicksum(
        (labelling / GIGA * _chosen(model, n, "server", s) + _training(model, n, "server", s))
        / model.cpu[n, s]
        for s in servers
    )


def _delay(model: pyo.ConcreteModel, n: int) -> Any:
    """T_n ≥ upload + download + computation [s]; the bound of T_n is the deadline."""
    return model.delay[n] >= (
        _upload_delay(model, n) + _download_delay(model, n) + _compute_delay(model, n)
    )


def _upload_energy(model: pyo.ConcreteModel, n: int) -> Any:
    """p_n · upload delay ≤ E_n [J]."""
    user, upload = model.data.users[n], _upload_delay(model, n)
    if user.energy_j is None or isinstance(upload, float):
        return pyo.Constraint.Skip
    return user.tx_power_w * upload <= user.energy_j


def _device_energy(model: pyo.ConcreteModel, n: int) -> Any:
    """κ_n f_n² · Σ E_p D c_m x_{n,m,s}^device ≤ E_n [J]."""
    user = model.data.users[n]
    if user.energy_j is None or user.kappa == 0:
        return pyo.Constraint.Skip
    cycles = pyo.quicksum(_training(model, n, "device", s) for i, s in model.R if i == n)
    joules = user.kappa * GIGA**3
    return joules * model.device_cpu[n] ** 2 * cycles <= user.energy_j


def _objective(model: pyo.ConcreteModel) -> Any:
    """J = (1/N) Σ_n [ T_n + ρ (1 - a_n) ] [s]."""
    rho = model.data.seconds_per_error
    total = pyo.quicksum(model.delay[n] + rho * (1 - _accuracy(model, n)) for n in model.N)
    return total / len(model.data.users)

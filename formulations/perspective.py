"""The perspective formulation: convex once the choice is relaxed, as tight as the pools' prices.

Each option k has its own shares, so its delay in a pool is the perspective x T(b / x) of a convex
function. Two forms of the same set:

- :func:`build`, a MILP: perspectives bounded below by tangents (outer approximation). A relaxation
  for any set of tangents, exact at their points; `exact` adds those at each incumbent's optimum.
- :func:`build_nonlinear`, an MINLP for convex solvers: the perspectives themselves.

Units inside: MHz, Mbit, Gcycles, seconds, which keeps coefficients near one.

| symbol | code | unit | meaning |
|---|---|---|---|
| x_k | x[k] | – | user takes option k = (m, place, s) |
| b_k^ul, b_k^dl, f_k | share[p, k] | MHz, MHz, Gcycles/s | the option's share of pool p |
| t_k^p | delay[p, k] | s | its delay there |
| r_k^ul | uplink_rate[k] | Mbit/s | its uplink rate, in the MINLP |
| d_k | (constant) | s | E_p D c_m / f on the device |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyomo.core as pyo

from dtkd_opt.formulations.units import SCALE
from dtkd_opt.problem.options import Options
from dtkd_opt.problem.physics import LN2, uplink_rate
from dtkd_opt.records.arrays import Array, Index

UPLINK, DOWNLINK, CPU = 0, 1, 2


def build(options: Options) -> pyo.ConcreteModel:
    """The MILP: add tangents with :func:`add_tangents` before solving it."""
    model = pyo.ConcreteModel("perspective MILP")
    _variables(model, options)
    _linear_part(model)
    model.tangents = pyo.ConstraintList(doc="t ≥ (T(b0) - T'(b0) b0) x + T'(b0) b")
    model.conflicts = pyo.ConstraintList(doc="choices that provably exceed a server's pools")
    return model


def build_nonlinear(options: Options) -> pyo.ConcreteModel:
    """The MINLP with the perspectives themselves, a convex set once x is relaxed.

    Convexity rules of solvers do not see it in b log(1 + γ x / b): tell them to assume it (SHOT:
    ``Model.Convexity.AssumeConvex``).
    """
    model = pyo.ConcreteModel("perspective MINLP")
    _variables(model, options)
    _idle_shares_and_rates(model)
    _linear_part(model)
    model.uplink_rates = pyo.Constraint(model.uplink_rate.index_set(), rule=_uplink_rate)
    model.delays = pyo.Constraint(model.SHARES, rule=_perspective_delay)
    return model


def _linear_part(model: pyo.ConcreteModel) -> None:
    """What both forms have in common: all but the delays in the pools."""
    options = model.options
    timed = np.flatnonzero(np.isfinite(options.deadline_s))
    constrained = np.flatnonzero(np.isfinite(options.uplink_limit_s) & (options.uplink_bits > 0))
    model.one_option = pyo.Constraint(range(options.n_users), rule=_one_option)
    model.pools = pyo.Constraint(range(3), range(options.n_servers), rule=_pool)
    model.deadlines = pyo.Constraint(timed, rule=_deadline)
    model.upload_energy = pyo.Constraint(constrained, rule=_upload_energy)
    model.J = pyo.Objective(rule=_objective)


def _idle_shares_and_rates(model: pyo.ConcreteModel) -> None:
    """r_k^ul, and lower bounds above zero of shares and rates: delays divide by them."""
    for p, k in model.SHARES:
        model.share[p, k].setlb(_idle(model, p, k))
        model.share[p, k].set_value(model.share[p, k].ub / model.options.n_users)
    model.uplink_rate = pyo.Var([k for p, k in model.SHARES if p == UPLINK])
    for k in model.uplink_rate:
        model.uplink_rate[k].setlb(_rate_at(model, k, _idle(model, UPLINK, k)))
        model.uplink_rate[k].setub(_rate_at(model, k, model.share[UPLINK, k].ub))


def _idle(model: pyo.ConcreteModel, p: int, k: int) -> float:
    """The share that an option which is not chosen keeps, free of charge."""
    return float(min(1e-4, 1e-2 / model.options.n_users) * model.share[p, k].ub)


def _rate_at(model: pyo.ConcreteModel, k: int, share: float) -> float:
    """r_ul(b) [Mbit/s] at a share in MHz."""
    snr = model.options.uplink_snr_hz[k] / SCALE[UPLINK]
    return float(uplink_rate(np.array(share), np.array(snr)))


def _variables(model: pyo.ConcreteModel, options: Options) -> None:
    """x_k binary; b_k^p in [0, C_s^p] and t_k^p ≥ 0 for each pool that option k needs."""
    needs = options.needs
    model.options = options
    model.SHARES = pyo.Set(
        initialize=[(p, k) for k in range(len(options)) for p in range(3) if needs[p, k] > 0],
        dimen=2,
    )
    model.x = pyo.Var(range(len(options)), domain=pyo.Binary)
    model.share = pyo.Var(
        model.SHARES,
        bounds=lambda m, p, k: (0, float(options.capacity[p, options.server[k]] / SCALE[p])),
    )
    model.delay = pyo.Var(model.SHARES, bounds=(0, None))


def _one_option(model: pyo.ConcreteModel, n: int) -> Any:
    """Σ_{k ∈ K_n} x_k = 1."""
    start = model.options.start
    return pyo.quicksum(model.x[k] for k in range(start[n], start[n + 1])) == 1


def _pool(model: pyo.ConcreteModel, p: int, s: int) -> Any:
    """Σ_{k at s} b_k^p ≤ C_s^p [MHz, MHz, Gcycles/s]; idle shares are not charged."""
    options = model.options
    users = [k for k in np.flatnonzero(options.server == s) if (p, k) in model.SHARES]
    if not users:
        return pyo.Constraint.Skip
    capacity = float(options.capacity[p, s] / SCALE[p])
    charged = (
        model.share[p, k] - float(model.share[p, k].lb) * (1 - model.x[k])
        if model.share[p, k].lb
        else model.share[p, k]
        for k in users
    )
    return pyo.quicksum(charged) <= capacity


def _option_delay(model: pyo.ConcreteModel, k: int) -> Any:
    """T_k = d_k x_k + Σ_p t_k^p [s]."""
    pools = [model.delay[p, k] for p in range(3) if (p, k) in model.SHARES]
    return float(model.options.device_delay_s[k]) * model.x[k] + pyo.quicksum(pools)


def _deadline(model: pyo.ConcreteModel, k: int) -> Any:
    """T_k ≤ T_n^max x_k [s]."""
    return _option_delay(model, k) <= float(model.options.deadline_s[k]) * model.x[k]


def _upload_energy(model: pyo.ConcreteModel, k: int) -> Any:
    """t_k^ul ≤ (E_n / p_n) x_k [s], the upload's energy budget."""
    return model.delay[UPLINK, k] <= float(model.options.uplink_limit_s[k]) * model.x[k]


def _objective(model: pyo.ConcreteModel) -> Any:
    """J = (1/N) Σ_k [ T_k + ρ (1 - a_k) x_k ] [s]; users' smallest error costs are constant."""
    options = model.options
    base = np.minimum.reduceat(options.error_cost_s, options.start[:-1])
    extra = options.error_cost_s - base[options.user]
    total = pyo.quicksum(
        _option_delay(model, k) + float(extra[k]) * model.x[k] for k in range(len(options))
    )
    return (total + float(base.sum())) / options.n_users


def _uplink_rate(model: pyo.ConcreteModel, k: int) -> Any:
    """x r_ul(b / x) = b log2(1 + γ x / b) [Mbit/s], concave in (b, x); idle rates are free."""
    snr = float(model.options.uplink_snr_hz[k] / SCALE[UPLINK])
    b, x = model.share[UPLINK, k], model.x[k]
    rate = b * pyo.log(1 + snr * x / b) / LN2
    return model.uplink_rate[k] <= rate + model.uplink_rate[k].lb * (1 - x)


def _perspective_delay(model: pyo.ConcreteModel, p: int, k: int) -> Any:
    """t_k ≥ need x_k² / (rate or share), convex; the square changes nothing where x is binary."""
    need = float(model.options.needs[p, k] / SCALE[p])
    speed = model.uplink_rate[k] if p == UPLINK else model.share[p, k]
    return model.delay[p, k] >= need * model.x[k] ** 2 / speed


def tangent(options: Options, p: int, k: int, share: float) -> tuple[float, float]:
    """T(b0) - T'(b0) b0 [s] and T'(b0) [s per MHz or Gcycle/s] of option k's delay in pool p."""
    need = float(options.needs[p, k])
    if p != UPLINK:
        delay = need / share
        return 2 * delay, -delay / share * float(SCALE[p])
    snr = float(options.uplink_snr_hz[k])
    rate = float(uplink_rate(np.array(share), np.array(snr)))
    rate_slope = rate / share - snr / (share + snr) / LN2
    delay = need / rate
    slope = -delay * rate_slope / rate
    return delay - slope * share, slope * float(SCALE[p])


def add_tangents(model: pyo.ConcreteModel, rows: Iterable[int], shares: Array) -> list[Any]:
    """Tangents of options k in `rows` (K',) at shares (3, K') [Hz, Hz, cycles/s], a column each.

    `model` is of :func:`build`; returns the new Pyomo constraints, to be given to a solver that
    holds the model already.
    """
    return [
        model.tangents.add(_tangent(model, p, int(k), float(shares[p, column])))
        for column, k in enumerate(rows)
        for p in range(3)
        if (p, int(k)) in model.SHARES and 0 < shares[p, column] < np.inf
    ]


def _tangent(model: pyo.ConcreteModel, p: int, k: int, share: float) -> Any:
    """t ≥ (T(b0) - T'(b0) b0) x + T'(b0) b."""
    level, slope = tangent(model.options, p, k, share)
    return level * model.x[k] + slope * model.share[p, k] - model.delay[p, k] <= 0


def add_conflict(model: pyo.ConcreteModel, rows: Index, cost: Array) -> Any:
    """Σ_{k at s} cost_k x_k ≤ 1: option k of one server needs at least cost_k of its pools.

    `cost_k` is the minimum that keeps option k's limits, priced so that the pools are worth one:
    valid for every feasible choice (proof: `dtkd_opt.pricing.constrained_allocation.Conflict`).
    """
    terms = (float(c) * model.x[int(k)] for k, c in zip(rows, cost, strict=True) if c > 0)
    return model.conflicts.add(pyo.quicksum(terms) <= 1)


def binaries(model: pyo.ConcreteModel) -> Iterator[Any]:
    """The variables x_k in the order of the options."""
    return (model.x[k] for k in range(len(model.options)))

"""The perspective formulation: convex once the choice is relaxed, as tight as the pools' prices.

Each option k has its own shares, so its delay in a pool is the perspective x T(b / x) of a convex
function. Two forms of the same set:

- :func:`build`, a MILP: perspectives bounded below by tangents (outer approximation). A relaxation
  for any set of tangents, exact at their points; `exact` adds those at each incumbent's optimum.
- :func:`build_nonlinear`, an MINLP for convex solvers: the perspectives themselves.

Units inside: each option's share of a pool is in units of its own, its proportional share, and its
delay there in those of the delay with that (:class:`OwnUnits`), in the MINLP 30 times finer; J in
seconds. So coefficients are near one, however large a pool is beside what its users need: solvers
take any below 1e-9 for zero, and a tangent without its slope would cut optima off.

| symbol | code | unit | meaning |
|---|---|---|---|
| x_k | x[k] | – | user takes option k = (m, place, s) |
| b_k^ul, b_k^dl, f_k | share[p, k] | u_k^p | the option's share of pool p |
| t_k^p | delay[p, k] | d_k^p | its delay there |
| r_k^ul | uplink_rate[k] | r(u_k) / 30 | its uplink rate, in the MINLP |
| d_k | (constant) | s | E_p D c_m / f on the device |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyomo.core as pyo

from dtkd_opt.problem.options import Options, pool_delays
from dtkd_opt.problem.physics import uplink_rate
from dtkd_opt.records.arrays import Array, Index

UPLINK, DOWNLINK, CPU = 0, 1, 2
MAX_UPLINK = 1e7  # times γ: no share beyond is worth more than 5e-8 of an upload's delay
SMALLEST_COEFFICIENT = 1e-9  # solvers take less for zero
LARGEST_COEFFICIENT = 1e9  # of a limit that only a share of 1e-9 or less of a pool could break
FINENESS = 30.0  # of the MINLP's delays and rates: solvers' tolerances are absolute
IDLE = 2e-3  # of an option's unit of share: what the MINLP leaves it where it is not chosen


@dataclass(frozen=True, eq=False)
class OwnUnits:
    """What shares and delays of K options in three pools are measured in; (3, K) arrays.

    The unit of a share is the pool divided in proportion to √need, as if every user took its
    largest need there: the best shares of downlink and CPU, and near them for the uplink, of which
    no user can use more than a multiple of γ.
    """

    share: Array  # u [Hz, Hz, cycles/s], 0 where nothing is needed
    delay: Array  # d [s], the delay with that share over a fineness
    part: Array  # u over the whole pool

    @classmethod
    def of(cls, options: Options, fineness: float = 1.0) -> Self:
        """The units of some options; those of delays are that many times finer."""
        roots = np.sqrt(options.needs)
        largest = np.zeros((3, options.n_users, options.n_servers))
        for p in range(3):
            np.maximum.at(largest[p], (options.user, options.server), roots[p])
        total = largest.sum(axis=1)[:, options.server]
        pools = options.capacity[:, options.server]
        share = pools * roots / np.where(total > 0, total, 1.0)
        share[UPLINK] = np.minimum(share[UPLINK], MAX_UPLINK * options.uplink_snr_hz)
        return cls(share, pool_delays(options, share) / fineness, share / pools)


def build(options: Options) -> pyo.ConcreteModel:
    """The MILP: add tangents with :func:`add_tangents` before solving it."""
    model = pyo.ConcreteModel("perspective MILP")
    _variables(model, options, OwnUnits.of(options))
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
    _variables(model, options, OwnUnits.of(options, FINENESS))
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
        model.share[p, k].setlb(IDLE)
        model.share[p, k].set_value(1.0)
        if p == UPLINK:  # beyond, logarithms have no digits left
            useful = MAX_UPLINK * model.options.uplink_snr_hz[k] / model.units.share[p, k]
            model.share[p, k].setub(min(model.share[p, k].ub, float(useful)))
    model.uplink_rate = pyo.Var([k for p, k in model.SHARES if p == UPLINK])
    for k in model.uplink_rate:
        model.uplink_rate[k].setlb(_rate_at(model, k, IDLE))
        model.uplink_rate[k].setub(_rate_at(model, k, model.share[UPLINK, k].ub))


def _rate_at(model: pyo.ConcreteModel, k: int, share: float) -> float:
    """r_ul(b) at a share in its unit, a finer unit than that of the unit share."""
    unit, snr = model.units.share[UPLINK, k], model.options.uplink_snr_hz[k]
    rate, unit_rate = uplink_rate(np.array([share * unit, unit]), snr)
    return float(FINENESS * rate / unit_rate)


def _variables(model: pyo.ConcreteModel, options: Options, units: OwnUnits) -> None:
    """x_k binary; b_k^p in [0, C_s^p] and t_k^p ≥ 0 for each pool that option k needs."""
    needs = options.needs
    model.options, model.units = options, units
    model.SHARES = pyo.Set(
        initialize=[(p, k) for k in range(len(options)) for p in range(3) if needs[p, k] > 0],
        dimen=2,
    )
    model.x = pyo.Var(range(len(options)), domain=pyo.Binary)
    model.share = pyo.Var(model.SHARES, bounds=lambda m, p, k: (0, 1 / float(m.units.part[p, k])))
    model.delay = pyo.Var(model.SHARES, bounds=(0, None))


def _one_option(model: pyo.ConcreteModel, n: int) -> Any:
    """Σ_{k ∈ K_n} x_k = 1."""
    start = model.options.start
    return pyo.quicksum(model.x[k] for k in range(start[n], start[n + 1])) == 1


def _pool(model: pyo.ConcreteModel, p: int, s: int) -> Any:
    """Σ_{k at s} b_k^p ≤ C_s^p, in parts of the pool; idle shares are not charged."""
    part = np.where(model.options.server == s, model.units.part[p], 0.0)
    users = np.flatnonzero(part >= SMALLEST_COEFFICIENT)
    if not len(users):
        return pyo.Constraint.Skip
    charged = (
        float(part[k])
        * (
            model.share[p, k] - float(model.share[p, k].lb) * (1 - model.x[k])
            if model.share[p, k].lb
            else model.share[p, k]
        )
        for k in users
    )
    return pyo.quicksum(charged) <= 1


def _pool_delays(model: pyo.ConcreteModel, k: int) -> list[tuple[float, Any]]:
    """The delays t_k^p, each after its unit [s]."""
    unit_s = model.units.delay
    pools = (p for p in range(3) if (p, k) in model.SHARES)
    return [(float(unit_s[p, k]), model.delay[p, k]) for p in pools]


def _option_delay(model: pyo.ConcreteModel, k: int) -> Any:
    """T_k = d_k x_k + Σ_p t_k^p [s]."""
    pools = pyo.quicksum(unit_s * delay for unit_s, delay in _pool_delays(model, k))
    return float(model.options.device_delay_s[k]) * model.x[k] + pools


def _deadline(model: pyo.ConcreteModel, k: int) -> Any:
    """Σ_p t_k^p ≤ (T_n^max - d_k) x_k, over what the device leaves to the pools."""
    left_s = float(model.options.deadline_s[k] - model.options.device_delay_s[k])
    return _limit(_pool_delays(model, k), left_s, model.x[k])


def _upload_energy(model: pyo.ConcreteModel, k: int) -> Any:
    """t_k^ul ≤ (E_n / p_n) x_k, the upload's energy budget."""
    delays = [(float(model.units.delay[UPLINK, k]), model.delay[UPLINK, k])]
    return _limit(delays, float(model.options.uplink_limit_s[k]), model.x[k])


def _limit(delays: list[tuple[float, Any]], limit_s: float, x: Any) -> Any:
    """Σ delays ≤ limit · x, over the limit: what solvers take for zero only loosens it then."""
    parts = [(unit_s / max(limit_s, 1e-300), delay) for unit_s, delay in delays]
    if not parts or max(part for part, _ in parts) > LARGEST_COEFFICIENT:
        return pyo.Constraint.Skip
    return pyo.quicksum(part * delay for part, delay in parts) <= x


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
    """x r_ul(b / x) = b log2(1 + γ x / b), concave in (b, x); idle rates are free."""
    snr = float(model.options.uplink_snr_hz[k] / model.units.share[UPLINK, k])
    b, x = model.share[UPLINK, k], model.x[k]
    rate = FINENESS / float(np.log1p(snr)) * b * pyo.log(1 + snr * x / b)
    return model.uplink_rate[k] <= rate + model.uplink_rate[k].lb * (1 - x)


def _perspective_delay(model: pyo.ConcreteModel, p: int, k: int) -> Any:
    """t_k ≥ x_k² / (rate or share), convex; the square changes nothing where x is binary."""
    speed = model.uplink_rate[k] / FINENESS if p == UPLINK else model.share[p, k]
    return model.delay[p, k] >= FINENESS * model.x[k] ** 2 / speed


def tangent(options: Options, p: int, k: int, share: float) -> tuple[float, float]:
    """T(b0) - T'(b0) b0 [s] and T'(b0) b0 [s] of option k's delay in pool p at b0 = `share`."""
    need = float(options.needs[p, k])
    if p != UPLINK:
        delay = need / share
        return 2 * delay, -delay
    snr = float(options.uplink_snr_hz[k])
    delay = need / float(uplink_rate(np.array(share), np.array(snr)))
    w = snr / share
    fall = delay * max(0.0, 1 - w / ((1 + w) * float(np.log1p(w))))
    return delay + fall, -fall


def add_tangents(model: pyo.ConcreteModel, rows: Iterable[int], shares: Array) -> list[Any]:
    """Tangents of options k in `rows` (K',) at shares (3, K') [Hz, Hz, cycles/s], a column each.

    `model` is of :func:`build`; returns the new Pyomo constraints, to be given to a solver that
    holds the model already.
    """
    tangents = (
        _tangent(model, p, int(k), float(shares[p, column]))
        for column, k in enumerate(rows)
        for p in range(3)
        if (p, int(k)) in model.SHARES and 0 < shares[p, column] < np.inf
    )
    return [model.tangents.add(tangent) for tangent in tangents if tangent is not None]


def _tangent(model: pyo.ConcreteModel, p: int, k: int, share: float) -> Any:
    """t ≥ (T(b0) - T'(b0) b0) x + T'(b0) b, over T(b0) - T'(b0) b0; None where solvers lose it."""
    if p == UPLINK:
        share = min(share, MAX_UPLINK * float(model.options.uplink_snr_hz[k]))
    level, fall = tangent(model.options, p, k, share)
    unit, unit_s = model.units.share[p, k], model.units.delay[p, k]
    slope, size = float(fall / level * unit / share), float(unit_s / level)
    if min(-slope, size) < SMALLEST_COEFFICIENT:
        return None
    return model.x[k] + slope * model.share[p, k] - size * model.delay[p, k] <= 0


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

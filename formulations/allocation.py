"""The continuous subproblem: shares of the pools for a fixed choice, a convex NLP.

`dtkd_opt.pricing.allocation` solves it with prices; this is the same problem as algebra, for other
solvers and for the tests. Units inside: MHz, Mbit, Gcycles, seconds.

| symbol | code | unit | meaning |
|---|---|---|---|
| b_n^ul, b_n^dl, f_n | share[p, n] | MHz, MHz, Gcycles/s | share of pool p of the user's server |
| t_n^p | delay[p, n] | s | delay in pool p |
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyomo.core as pyo

from dtkd_opt.formulations.perspective import UPLINK
from dtkd_opt.formulations.units import SCALE
from dtkd_opt.problem.options import Options
from dtkd_opt.problem.physics import LN2
from dtkd_opt.records.arrays import Index


def build(options: Options, choice: Index) -> pyo.ConcreteModel:
    """The NLP of a choice: (N,) rows of the options, one for each user."""
    model = pyo.ConcreteModel("allocation")
    model.options = options.select_rows(choice)
    _variables(model)
    model.pools = pyo.Constraint(range(3), range(options.n_servers), rule=_pool)
    model.delays = pyo.Constraint(model.SHARES, rule=_pool_delay)
    timed = np.flatnonzero(np.isfinite(model.options.deadline_s))
    model.deadlines = pyo.Constraint(timed, rule=_deadline)
    model.J = pyo.Objective(rule=_objective)
    return model


def _variables(model: pyo.ConcreteModel) -> None:
    """b_n^p in [0, C_s^p]; t_n^p ≥ 0, the upload's at most E_n / p_n."""
    options, needs = model.options, model.options.needs
    model.SHARES = pyo.Set(
        initialize=[(p, n) for n in range(len(options)) for p in range(3) if needs[p, n] > 0],
        dimen=2,
    )

    def bounds(_: Any, p: int, n: int) -> tuple[float, float]:
        capacity = float(options.capacity[p, options.server[n]] / SCALE[p])
        return 1e-9 * capacity, capacity

    def limit(_: Any, p: int, n: int) -> tuple[float, float | None]:
        longest = float(options.uplink_limit_s[n]) if p == UPLINK else np.inf
        return 0.0, longest if np.isfinite(longest) else None

    model.share = pyo.Var(
        model.SHARES,
        bounds=bounds,
        initialize=lambda _, p, n: bounds(_, p, n)[1] / len(options),
    )
    model.delay = pyo.Var(model.SHARES, bounds=limit)


def _pool(model: pyo.ConcreteModel, p: int, s: int) -> Any:
    """Σ_{n at s} b_n^p ≤ C_s^p [MHz, MHz, Gcycles/s]."""
    users = [n for n in np.flatnonzero(model.options.server == s) if (p, n) in model.SHARES]
    if not users:
        return pyo.Constraint.Skip
    capacity = float(model.options.capacity[p, s] / SCALE[p])
    return pyo.quicksum(model.share[p, n] for n in users) <= capacity


def _pool_delay(model: pyo.ConcreteModel, p: int, n: int) -> Any:
    """t_n^p · r(b_n^p) ≥ need_n^p, with r_ul(b) = b log2(1 + γ / b) and r(b) = b elsewhere."""
    options, b = model.options, model.share[p, n]
    need = float(options.needs[p, n] / SCALE[p])
    if p != UPLINK:
        return model.delay[p, n] >= need / b
    snr = float(options.uplink_snr_hz[n] / SCALE[p])
    return model.delay[p, n] >= need * LN2 / (b * pyo.log(1 + snr / b))


def _total_delay(model: pyo.ConcreteModel, n: int) -> Any:
    """T_n = d_n + Σ_p t_n^p [s]."""
    pools = [model.delay[p, n] for p in range(3) if (p, n) in model.SHARES]
    return float(model.options.device_delay_s[n]) + pyo.quicksum(pools)


def _deadline(model: pyo.ConcreteModel, n: int) -> Any:
    """T_n ≤ T_n^max [s]."""
    if model.options.needs[:, n].sum() == 0:
        return pyo.Constraint.Skip  # nothing to decide; `build_options` has checked it
    return _total_delay(model, n) <= float(model.options.deadline_s[n])


def _objective(model: pyo.ConcreteModel) -> Any:
    """J = (1/N) Σ_n [ T_n + ρ (1 - a_n) ] [s]; the accuracy is fixed."""
    options = model.options
    total = pyo.quicksum(_total_delay(model, n) for n in range(len(options)))
    return (total + float(options.error_cost_s.sum())) / len(options)

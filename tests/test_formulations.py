"""Every formulation has the same optimum; each relaxation has its recorded value.

The optima come from enumerating all choices, each allocated exactly. SCIP solves the formulations
as an independent judge.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyomo.core as pyo
import pytest
from helpers import all_choices, mean_objective

import dtkd_opt as do
from dtkd_opt.bundle import maximise_bound
from dtkd_opt.equal import first_prices
from dtkd_opt.highs import HighsParams, StandingMilp
from dtkd_opt.options import OptionTable
from formulations import allocation, minlp, perspective

pyscipopt = pytest.importorskip("pyscipopt")

CASES = {
    "plain": (2, 1, 0, {}),
    "servers": (2, 2, 1, {}),
    "limits": (2, 1, 7, {"deadlines": 1.0, "energy_budgets": 1.0, "accuracy_floors": 1.0}),
}
# Recorded values of J (s) with x in [0, 1]: enumerated optimum, best prices (equal to the MILP's
# relaxation), perspective MINLP (lower by its idle shares), MINLP as stated (concave in x, so that
# its relaxation is integral, but no easier: solvers must branch on the shares).
RECORDED = {
    "plain": {
        "optimum": 17.947457,
        "prices": 17.938138,
        "milp": 17.938138,
        "perspective": 17.937948,
        "minlp": 17.947457,
    },
    "servers": {
        "optimum": 18.980910,
        "prices": 18.050278,
        "milp": 18.050278,
        "perspective": 18.049847,
        "minlp": 18.980910,
    },
    "limits": {
        "optimum": 21.284925,
        "prices": 21.284925,
        "milp": 21.284925,
        "perspective": 21.284923,
    },
}


def instance_of(case: str) -> do.Instance:
    """A tiny instance with two students, small enough to enumerate."""
    users, servers, seed, limits = CASES[case]
    instance = do.generate_instance(users, servers, seed, do.GeneratorParams(**limits))
    return instance.model_copy(update={"models": instance.models[2:5:2]})


def enumerated(table: OptionTable) -> tuple[float, Any]:
    """The least J over all choices and a choice that has it."""
    best = min(all_choices(table), key=lambda choice: mean_objective(table, choice))
    return mean_objective(table, best), best


def scip(model: pyo.ConcreteModel, folder: Path) -> float:
    """Optimum of a Pyomo model by SCIP, to 1e-7."""
    import pyomo.environ  # noqa: F401 - registers the writer

    file = folder / "model.nl"
    model.write(str(file))
    solver = pyscipopt.Model()
    solver.hideOutput()
    solver.readProblem(str(file))
    solver.setParam("limits/gap", 1e-7)
    solver.setParam("limits/time", 60)
    solver.optimize()
    assert solver.getStatus() in ("optimal", "gaplimit")
    return float(solver.getPrimalbound())


@pytest.mark.parametrize("case", CASES)
def test_nonlinear_formulations_share_one_optimum(case: str, tmp_path: Path) -> None:
    instance = instance_of(case)
    table = do.build_options(instance)
    best, choice = enumerated(table)
    assert scip(minlp.build(instance), tmp_path) == pytest.approx(best, rel=1e-6)
    assert scip(perspective.build_nonlinear(table), tmp_path) == pytest.approx(best, rel=1e-6)
    assert scip(allocation.build(table, choice), tmp_path) == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_milp_reaches_the_same_optimum_from_below(case: str) -> None:
    """With tangents at the optimum the MILP's value is J; with few, it is a lower bound."""
    table = do.build_options(instance_of(case))
    best, _ = enumerated(table)
    model = perspective.build(table)
    point = maximise_bound(table, first_prices(table))
    perspective.add_tangents(model, range(len(table)), point.response.shares)
    few = milp_value(model)
    assert few <= best * (1 + 1e-9)
    for other in all_choices(table):
        try:
            shares = do.allocate(table, other).shares
        except do.ChoiceInfeasible:
            continue
        perspective.add_tangents(model, other, shares)
    exact = milp_value(model)
    assert few <= exact * (1 + 1e-9)
    assert exact <= best * (1 + 1e-8)
    if case != "limits":  # infeasible choices have no tangents of their own
        assert exact == pytest.approx(best, rel=1e-8)


def milp_value(model: pyo.ConcreteModel) -> float:
    outcome = StandingMilp(model, HighsParams(), 0).run(1e-9, 60.0)
    assert outcome.reason == "optimal"
    return outcome.bound


@pytest.mark.parametrize("case", CASES)
def test_relaxed_values(case: str, tmp_path: Path) -> None:
    """Relaxing x: the MILP is worth the best prices' bound, the perspectives almost; SCIP needs
    minutes for the MINLP with limits even so, and there it is left out."""
    instance = instance_of(case)
    table = do.build_options(instance)
    point = maximise_bound(table, first_prices(table))
    model = perspective.build(table)
    perspective.add_tangents(model, range(len(table)), point.response.shares)
    values = {
        "optimum": enumerated(table)[0],
        "prices": point.value / table.n_users,
        "milp": milp_value(relaxed(model)),
        "perspective": scip(relaxed(perspective.build_nonlinear(table)), tmp_path),
    }
    if case != "limits":
        values["minlp"] = scip(relaxed(minlp.build(instance)), tmp_path)
    assert values == pytest.approx(RECORDED[case], rel=1e-6)
    assert values["milp"] == pytest.approx(values["prices"], rel=1e-7)
    assert values["prices"] * (1 - 1e-4) <= values["perspective"] <= values["optimum"] * (1 + 1e-6)
    assert values.get("minlp", 0.0) <= values["optimum"] * (1 + 1e-6)


def relaxed(model: pyo.ConcreteModel) -> pyo.ConcreteModel:
    for var in model.component_data_objects(pyo.Var):
        if var.is_binary():
            var.domain = pyo.UnitInterval
    return model


def test_tangents_touch_from_below() -> None:
    """Each tangent equals the delay at its share and lies below it everywhere else."""
    table = do.build_options(instance_of("plain"))
    for k in np.flatnonzero(table.uplink_bits > 0)[:2]:
        for p, capacity in enumerate(table.capacity[:, 0]):
            at = 0.3 * capacity
            level, slope = perspective.tangent(table, p, int(k), at)
            for share in capacity * np.geomspace(1e-4, 1, 20):
                line = level + slope * share / perspective.SCALE[p]
                assert line <= delay(table, p, int(k), share) * (1 + 1e-12)
            touch = level + slope * at / perspective.SCALE[p]
            assert touch == pytest.approx(delay(table, p, int(k), at), rel=1e-12)


def delay(table: OptionTable, p: int, k: int, share: float) -> float:
    if p:
        return float(table.needs[p, k] / share)
    rate = share * np.log2(1 + table.uplink_snr_hz[k] / share)
    return float(table.uplink_bits[k] / rate)


def test_no_formulation_calls_a_solver() -> None:
    for file in Path(perspective.__file__).parent.glob("*.py"):
        text = file.read_text()
        assert "highspy" not in text
        assert "SolverFactory" not in text

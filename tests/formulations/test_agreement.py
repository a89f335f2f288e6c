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

import dtkd_opt as do
from dtkd_opt.formulations import allocation, minlp, perspective
from dtkd_opt.pricing.bundle import maximise_bound
from dtkd_opt.pricing.equal_shares import first_prices
from dtkd_opt.problem.options import Options, pool_delays
from dtkd_opt.solvers.highs import HighsSettings, PersistentMilp
from tests.support.instances import trial_calibration
from tests.support.options import all_choices, mean_objective

pyscipopt = pytest.importorskip("pyscipopt")

CASES = {  # users, servers, seed, seconds per error
    "plain": (2, 1, 0, 100.0),
    "servers": (2, 2, 1, 100.0),
    "limits": (2, 1, 22, 100.0),
    "floors": (2, 1, 0, 10.0),
}
# Of the users, in order: a deadline and an upload that bind beside a floor that only leaves out an
# option; a slower device, and a student more accurate than is worth its delay.
LIMITS = {
    "limits": ({"deadline_s": 2.0}, {"energy_j": 0.001, "min_accuracy": 0.8205}),
    "floors": ({"energy_j": 0.15}, {"min_accuracy": 0.852}),
}
# Recorded values of J (s) with x in [0, 1]: enumerated optimum, best prices (equal to the MILP's
# relaxation), perspective MINLP (lower by its idle shares), MINLP as stated (concave in x, so that
# without limits its relaxation is integral, but no easier: solvers must branch on the shares).
RECORDED = {
    "plain": {
        "optimum": 17.947457,
        "prices": 17.938138,
        "milp": 17.938138,
        "perspective": 17.936583,
        "minlp": 17.947457,
    },
    "servers": {
        "optimum": 18.980910,
        "prices": 18.050278,
        "milp": 18.050278,
        "perspective": 18.047049,
        "minlp": 18.980910,
    },
    "limits": {
        "optimum": 18.676985,
        "prices": 18.191268,
        "milp": 18.191268,
        "perspective": 18.188852,
    },
    "floors": {
        "optimum": 3.370640,
        "prices": 3.370640,
        "milp": 3.370640,
        "perspective": 3.370490,
        "minlp": 3.136920,
    },
}


def instance_of(case: str) -> do.Instance:
    """A tiny instance with two students, small enough to enumerate."""
    *counts, seconds_per_error = CASES[case]
    params = do.GeneratorSettings(seconds_per_error=seconds_per_error)
    instance = do.generate_instance(*counts, params, calibration=trial_calibration())
    limits = LIMITS.get(case, ({},) * len(instance.users))
    users = zip(instance.users, limits, strict=True)
    return instance.replace(
        models=instance.models[2:5:2], users=tuple(user.replace(**own) for user, own in users)
    )


def enumerated(options: Options) -> tuple[float, Any]:
    """The least J over all choices and a choice that has it."""
    best = min(all_choices(options), key=lambda choice: mean_objective(options, choice))
    return mean_objective(options, best), best


def scip(model: pyo.ConcreteModel, folder: Path, feasible_to: float = 1e-8) -> float:
    """Optimum of a Pyomo model by SCIP, to 1e-7; its constraints hold to an absolute error."""
    import pyomo.environ  # noqa: F401 - registers the writer

    file = folder / "model.nl"
    model.write(str(file))
    solver = pyscipopt.Model()
    solver.hideOutput()
    solver.readProblem(str(file))
    solver.setParam("limits/gap", 1e-7)
    solver.setParam("numerics/feastol", feasible_to)
    solver.setParam("limits/time", 60)
    solver.optimize()
    assert solver.getStatus() in ("optimal", "gaplimit")
    return float(solver.getPrimalbound())


def without(instance: do.Instance, *limits: str) -> Options:
    """The options when no user has these limits."""
    users = tuple(u.replace(**dict.fromkeys(limits)) for u in instance.users)
    return do.build_options(instance.replace(users=users))


@pytest.mark.parametrize(
    ("case", "names"),
    [("limits", ("deadline_s", "energy_j")), ("floors", ("energy_j", "min_accuracy"))],
)
def test_limits_change_the_optimum(case: str, names: tuple[str, ...]) -> None:
    """All together, and each kind alone: else their case would tell nothing of its own."""
    instance = instance_of(case)
    best, _ = enumerated(do.build_options(instance))
    free, _ = enumerated(without(instance, "deadline_s", "energy_j", "min_accuracy"))
    assert best > 1.03 * free
    for name in names:
        assert best > 1.005 * enumerated(without(instance, name))[0]


def test_a_deadline_and_an_upload_limit_bind() -> None:
    options = do.build_options(instance_of("limits"))
    _, choice = enumerated(options)
    picked, allocation = options.select_rows(choice), do.allocate(options, choice)
    upload = pool_delays(picked, allocation.shares)[0]
    assert (allocation.delay >= picked.deadline_s * (1 - 1e-9)).any()
    assert (allocation.weight > 1).any()
    assert (upload >= picked.uplink_limit_s * (1 - 1e-9)).any()


@pytest.mark.parametrize("case", CASES)
def test_nonlinear_formulations_share_one_optimum(case: str, tmp_path: Path) -> None:
    instance = instance_of(case)
    options = do.build_options(instance)
    best, choice = enumerated(options)
    assert scip(minlp.build(instance), tmp_path) == pytest.approx(best, rel=1e-6)
    assert scip(perspective.build_nonlinear(options), tmp_path) == pytest.approx(best, rel=1e-6)
    assert scip(allocation.build(options, choice), tmp_path) == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_milp_reaches_the_same_optimum_from_below(case: str) -> None:
    """With tangents at the optimum the MILP's value is J; with few, it is a lower bound."""
    options = do.build_options(instance_of(case))
    best, _ = enumerated(options)
    model = perspective.build(options)
    point = maximise_bound(options, first_prices(options))
    perspective.add_tangents(model, range(len(options)), point.response.shares)
    few = milp_value(model)
    assert few <= best * (1 + 1e-9)
    for other in all_choices(options):
        perspective.add_tangents(model, other, do.allocate(options, other).shares)
    exact = milp_value(model)
    assert few <= exact * (1 + 1e-9)
    assert exact == pytest.approx(best, rel=1e-8)


def milp_value(model: pyo.ConcreteModel) -> float:
    outcome = PersistentMilp(model, HighsSettings(), 0).run(1e-9, 60.0)
    assert outcome.reason == "optimal"
    return outcome.bound


@pytest.mark.parametrize("case", CASES)
def test_relaxed_values(case: str, tmp_path: Path) -> None:
    """Relaxing x: the MILP is worth the best prices' bound, the perspectives almost; SCIP needs
    minutes for the MINLP with deadlines even so, and there it is left out."""
    instance = instance_of(case)
    options = do.build_options(instance)
    point = maximise_bound(options, first_prices(options))
    model = perspective.build(options)
    perspective.add_tangents(model, range(len(options)), point.response.shares)
    values = {
        "optimum": enumerated(options)[0],
        "prices": point.value / options.n_users,
        "milp": milp_value(relaxed(model)),
        "perspective": scip(relaxed(perspective.build_nonlinear(options)), tmp_path, 1e-6),
    }
    if case != "limits":
        values["minlp"] = scip(relaxed(minlp.build(instance)), tmp_path, 1e-6)
    assert values == pytest.approx(RECORDED[case], rel=1e-6)
    assert values["milp"] == pytest.approx(values["prices"], rel=1e-7)
    assert values["prices"] * (1 - 2e-4) <= values["perspective"] <= values["optimum"] * (1 + 1e-6)
    assert values.get("minlp", 0.0) <= values["optimum"] * (1 + 1e-6)


def relaxed(model: pyo.ConcreteModel) -> pyo.ConcreteModel:
    for var in model.component_data_objects(pyo.Var):
        if var.is_binary():
            var.domain = pyo.UnitInterval
    return model


def test_tangents_touch_from_below() -> None:
    """Each tangent equals the delay at its share and lies below it everywhere else."""
    options = do.build_options(instance_of("plain"))
    for k in np.flatnonzero(options.uplink_bits > 0)[:2]:
        for p, capacity in enumerate(options.capacity[:, 0]):
            at = 0.3 * capacity
            level, slope = perspective.tangent(options, p, int(k), at)
            for share in capacity * np.geomspace(1e-4, 1, 20):
                line = level + slope * share / at
                assert line <= delay(options, p, int(k), share) * (1 + 1e-12)
            touch = level + slope
            assert touch == pytest.approx(delay(options, p, int(k), at), rel=1e-12)


def delay(options: Options, p: int, k: int, share: float) -> float:
    if p:
        return float(options.needs[p, k] / share)
    rate = share * np.log2(1 + options.uplink_snr_hz[k] / share)
    return float(options.uplink_bits[k] / rate)

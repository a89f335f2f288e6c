"""HiGHS: the master LP of the prices, MILPs that stay loaded, its options and its log."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyomo.core as pyo
import pytest

import dtkd_opt as do
from dtkd_opt.solvers.highs import MasterLP, MilpOutcome, PersistentMilp


def test_unknown_highs_option_is_refused() -> None:
    params = do.Exact(fixing=False, highs=do.HighsSettings(options={"no_such_option": 1}))
    with pytest.raises(do.UsageError, match="no_such_option"):
        do.solve(do.generate_instance(5), params)


def test_highs_log_is_written(tmp_path: Path) -> None:
    log = tmp_path / "highs.log"
    params = do.Exact(fixing=False, highs=do.HighsSettings(log_file=str(log), threads=1))
    do.solve(do.generate_instance(8), params)
    assert "HiGHS" in log.read_text()


# --- the prices' master LP


def test_the_master_lp_finds_where_two_cuts_meet() -> None:
    """θ ≤ 4 v and θ ≤ 6 - 2 v meet at v = 1, with multipliers 1/3 and 2/3."""
    master = MasterLP(1)
    master.add_cut(0.0, np.array([4.0]), np.array([0.0]))
    master.add_cut(6.0, np.array([-2.0]), np.array([0.0]))
    point, value = master.maximise(np.zeros(1), np.full(1, 10.0))
    assert point == pytest.approx([1.0], abs=1e-9)
    assert value == pytest.approx(4.0, abs=1e-9)
    assert master.weights() == pytest.approx([1 / 3, 2 / 3], abs=1e-9)
    master.add_cut(3.0, np.array([1.0]), np.array([0.0]))
    assert master.weights()[2] == 0  # until it is solved again
    assert master.maximise(np.zeros(1), np.full(1, 10.0))[1] == pytest.approx(4.0, abs=1e-9)


def test_the_master_lp_keeps_to_its_box() -> None:
    master = MasterLP(2)
    master.add_cut(1.0, np.array([1.0, -1.0]), np.array([0.0, 0.0]))
    point, value = master.maximise(np.array([0.0, 2.0]), np.array([3.0, 5.0]))
    assert point == pytest.approx([3.0, 2.0])
    assert value == pytest.approx(1 + 3 - 2)


def test_a_master_lp_without_an_optimum_is_an_arithmetic_error() -> None:
    with pytest.raises(ArithmeticError, match="price master"):
        MasterLP(1).maximise(np.zeros(1), np.ones(1))  # without a cut θ has no end


# --- MILPs


def test_nothing_is_printed_even_where_highs_prints_a_banner_as_it_is_made(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Its output is off before its first word: versions from 1.16 on greet at once."""
    master = MasterLP(1)
    master.add_cut(6.0, np.array([-2.0]), np.array([0.0]))
    master.maximise(np.zeros(1), np.ones(1))
    PersistentMilp(knapsack(), do.HighsSettings(threads=1), 0).run(0.0, math.inf)
    assert capfd.readouterr() == ("", "")


def test_a_model_that_is_not_linear_is_refused() -> None:
    model = knapsack()
    model.square = pyo.Constraint(expr=model.x[0] ** 2 + model.x[1] <= 1)
    with pytest.raises(ValueError, match="linear expressions only"):
        PersistentMilp(model, do.HighsSettings(), 0)


def knapsack() -> Any:
    """max 5 x₀ + 4 x₁ + 3 x₂ with 2 x₀ + 3 x₁ + x₂ ≤ 3, binary: 8, by the first and the last."""
    model: Any = pyo.ConcreteModel()
    model.x = pyo.Var(range(3), domain=pyo.Binary)
    model.weight = pyo.Constraint(expr=2 * model.x[0] + 3 * model.x[1] + model.x[2] <= 3)
    model.cost = pyo.Objective(expr=-5 * model.x[0] - 4 * model.x[1] - 3 * model.x[2])
    return model


def test_a_milp_is_solved_and_solved_again_with_a_cut() -> None:
    model = knapsack()
    milp = PersistentMilp(model, do.HighsSettings(threads=1), 0)
    assert milp.run(0.0, math.inf) == MilpOutcome("optimal", pytest.approx(-8), True)
    x = [model.x[i] for i in range(3)]
    assert milp.values(x) == pytest.approx([1, 0, 1])
    model.cut = pyo.Constraint(expr=model.x[0] + model.x[2] <= 1)
    milp.add([model.cut])
    assert milp.run(0.0, math.inf).bound == pytest.approx(-5)
    assert milp.values(x) == pytest.approx([1, 0, 0])


def test_a_milp_without_a_solution_is_infeasible() -> None:
    model = knapsack()
    model.more = pyo.Constraint(expr=sum(model.x[i] for i in range(3)) >= 3)
    found = PersistentMilp(model, do.HighsSettings(threads=1), 0).run(0.0, math.inf)
    assert (found.reason, found.has_solution) == ("infeasible", False)


def test_of_an_lp_the_optimum_is_the_bound() -> None:
    """Half of the first item, the last one, and a third of the second: 2.5 + 3 + 4/3."""
    model = knapsack()
    for i in range(3):
        model.x[i].domain = pyo.UnitInterval
    model.half = pyo.Constraint(expr=model.x[0] <= 0.5)
    found = PersistentMilp(model, do.HighsSettings(threads=1), 0).run(0.0, math.inf)
    assert found.reason == "optimal"
    assert found.bound == pytest.approx(-(2.5 + 3 + 4 / 3))

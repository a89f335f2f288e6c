"""The standing MILP: cuts of conflicts, tangents, and units of time."""

from __future__ import annotations

import math

import numpy as np
import pyomo.core as pyo
import pytest

import dtkd_opt as do
from dtkd_opt.milp.master_problem import MasterProblem
from dtkd_opt.pricing.constrained_allocation import Conflict
from dtkd_opt.problem.options import Options
from dtkd_opt.records.arrays import Index
from dtkd_opt.solvers.highs import PersistentMilp
from tests.support.options import mean_objective, random_choice


def test_choices_that_cannot_keep_their_limits_are_cut_off() -> None:
    """The MILP without tangents takes a choice that cannot be allocated; with the cuts of its
    conflict it no longer can, and other choices stay."""
    instance = do.generate_instance(6, 1, 2, do.GeneratorSettings(deadlines=1.0))
    options = do.build_options(instance)
    milp = MasterProblem(options, np.arange(len(options)), do.HighsSettings(), 0, unit_s=1.0)
    choice, conflict = infeasible_choice(options)
    model = milp.model
    model.fixed = pyo.Constraint(expr=sum(model.x[int(k)] for k in choice) == len(choice))
    before = PersistentMilp(model, do.HighsSettings(), 0)
    assert before.run(1e-6, 10.0).reason == "optimal"
    milp.add_conflict_cut(conflict, choice)
    after = PersistentMilp(model, do.HighsSettings(), 0)
    assert after.run(1e-6, 10.0).reason == "infeasible"
    model.fixed.deactivate()
    assert PersistentMilp(model, do.HighsSettings(), 0).run(1e-6, 10.0).reason == "optimal"


def infeasible_choice(options: Options) -> tuple[Index, Conflict]:
    """A choice whose deadlines cannot be kept together, and the proof."""
    rng = np.random.default_rng(0)
    for _ in range(1000):
        choice = random_choice(options, rng)
        try:
            do.allocate(options, choice)
        except do.ChoiceInfeasible as error:
            return choice, error.conflicts[0]
    raise AssertionError("no infeasible choice among 1000")


@pytest.mark.parametrize("unit_s", [1.0, 0.1, 100.0])
def test_tangents_make_it_exact_for_a_choice(unit_s: float) -> None:
    """With nothing else to choose, its bound is J of the choice, in seconds whatever its unit."""
    options = do.build_options(do.generate_instance(4, 2, 1))
    choice = random_choice(options, np.random.default_rng(1))
    milp = MasterProblem(options, choice, do.HighsSettings(), 0, unit_s)
    bounds: list[float] = []
    loose = milp.solve(None, 0.0, math.inf, bounds.append)
    milp.add_tangents(choice, do.allocate(options, choice).shares)
    tight = milp.solve(choice, 0.0, math.inf, bounds.append)
    np.testing.assert_array_equal(milp.choice(), choice)
    assert loose.bound < tight.bound
    assert tight.bound == pytest.approx(mean_objective(options, choice), rel=1e-6)


def test_long_work_looks_at_the_clock() -> None:
    options = do.build_options(do.generate_instance(4, 2, 1))
    rows = np.arange(len(options))

    def late() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        MasterProblem(options, rows, do.HighsSettings(), 0, 1.0, late)

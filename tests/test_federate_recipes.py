"""How `federate` trains by a table, and what a table lets expect."""

from __future__ import annotations

import numpy as np
import pytest
from federating import SHARES, instance, plan, table

import dtkd_opt as do
from dtkd_opt.federate.recipes import expected_interval, recipes_for
from dtkd_opt.instance import Instance


@pytest.fixture(scope="module")
def problem() -> Instance:
    return instance()


@pytest.fixture(scope="module")
def solution(problem: Instance) -> do.Solution:
    return plan(problem)


def test_trainings_are_those_of_the_table(problem: Instance, solution: do.Solution) -> None:
    """Of the nearest size in logarithm: 60 up to 120, 240 above it."""
    rates = {"logreg": (2e-3, 4e-3), "cnn_m": (1e-3, 4e-3)}
    recipes = recipes_for(problem, solution, table(problem))
    for recipe, student, (samples, *_) in zip(recipes, solution.users.model, SHARES, strict=True):
        wanted = rates[student][samples > 120]
        assert (recipe.learning_rate, recipe.batch_size) == (wanted, 16)
        assert (recipe.tau, recipe.alpha, recipe.epochs) == (3.0, 0.8, 20)
    others = table(problem).model_copy(update={"choices": ()})
    with pytest.raises(do.InputError, match='has none for "'):
        recipes_for(problem, solution, others)
    longer = instance(epochs=5)
    with pytest.raises(do.InputError, match=r"task\.epochs: must be 20"):
        recipes_for(longer, solution, table(problem))


def test_the_expected_interval_is_the_tables(problem: Instance, solution: do.Solution) -> None:
    part = np.log10(np.array([samples for samples, *_ in SHARES]) / 60)
    low, high = np.mean(0.31 + 0.09 * part), np.mean(0.91 + 0.09 * part)
    found = expected_interval(problem, solution, table(problem))
    assert found == pytest.approx((low, high))
    assert expected_interval(problem, solution, None) is None

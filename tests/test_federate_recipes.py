"""How `federate` trains by a table, and what a table lets expect."""

from __future__ import annotations

import numpy as np
import pytest
from federating import SHARES, instance, plan, table
from helpers import INSTANCES

import dtkd_opt as do
from dtkd_opt.distill.data import load_data
from dtkd_opt.federate.planned import Planned
from dtkd_opt.federate.recipes import differences, expected_interval, recipes_for, shipped_for
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
    recipes = recipes_for(Planned(problem, solution), table(problem))
    for recipe, student, (samples, *_) in zip(recipes, solution.users.model, SHARES, strict=True):
        wanted = rates[student][samples > 120]
        assert (recipe.learning_rate, recipe.batch_size) == (wanted, 16)
        assert (recipe.tau, recipe.alpha, recipe.epochs) == (3.0, 0.8, 20)
    others = table(problem).model_copy(update={"choices": ()})
    with pytest.raises(do.InputError, match='has none for "'):
        recipes_for(Planned(problem, solution), others)
    longer = instance(epochs=5)
    with pytest.raises(do.InputError, match=r"task\.epochs: must be 20"):
        recipes_for(Planned(longer, solution), table(problem))


def test_instances_of_the_shipped_table_are_trained_by_it(problem: Instance) -> None:
    shipped, n5 = do.shipped_calibration(), do.read_instance(INSTANCES / "n5.json")
    lower = n5.model_copy(update={"models": shipped.models_with("lower95")})
    for mine in (n5, lower):
        assert shipped_for([problem, mine], "fashion-mnist") is shipped
        assert shipped_for([mine], "digits") is None
    longer = n5.model_copy(update={"task": n5.task.model_copy(update={"epochs": 41})})
    for other in (problem, longer, n5.model_copy(update={"models": n5.models[:2]})):
        assert shipped_for([other], "fashion-mnist") is None


def test_the_expected_interval_is_the_tables(problem: Instance, solution: do.Solution) -> None:
    part = np.log10(np.array([samples for samples, *_ in SHARES]) / 60)
    low, high = np.mean(0.31 + 0.09 * part), np.mean(0.91 + 0.09 * part)
    found = expected_interval(Planned(problem, solution), table(problem))
    assert found == pytest.approx((low, high))
    assert expected_interval(Planned(problem, solution), None) is None


def test_what_differs_from_the_calibration_is_told(
    problem: Instance, solution: do.Solution
) -> None:
    data = load_data("digits")
    like = table(problem).model_copy(update={"data_sha256": data.sha256})
    found = list(differences(Planned(problem, solution), data, like, "iid", len(data.train)))
    assert found == ["On the device 25% to 100% of a user's samples are fresh (mean 62%), "
                     "in the table 30%."]  # fmt: skip
    other = instance("logreg", "cnn_m", shares=((90, 0.3, "device"), (90, 0.5, "server")))
    both = plan(other, ((90, 0.3, "device"), (90, 0.5, "server")))
    assert list(differences(Planned(other, both), data, like, "iid", len(data.train))) == []
    partition = list(differences(Planned(other, both), data, like, "dirichlet(0.3)", 500))
    assert partition == [
        "Private samples are dirichlet(0.3), those of the table iid.",
        "The teacher is trained on the 500 samples that the twins mirror; that of a calibration "
        "on all 1,169.",
    ]
    better = other.models[0].accuracy.model_copy(update={"server": (0.7, 0.95)})
    models = (other.models[0].model_copy(update={"accuracy": better}), *other.models[1:])
    changed = other.model_copy(update={"models": models})
    (told,) = differences(Planned(changed, both), data, like, "iid", len(data.train))
    assert told == "The instance's accuracies are not the table's means."

"""The runs of a comparison as tables."""

from __future__ import annotations

from pathlib import Path

import dtkd_opt as do
from tests.support.comparing import N5


def test_gap_to_the_best_bound_compares_plans_only(tmp_path: Path) -> None:
    runs = do.compare([do.read_instance(N5)], ["greedy", "price"], seeds=1).runs
    greedy, price = runs.to_dict("records")
    assert price["objective_bound"] > greedy["objective_bound"]
    distance = greedy["incumbent_objective"] - price["objective_bound"]
    assert greedy["gap_best_bound"] == distance / greedy["incumbent_objective"]
    assert greedy["gap_best_bound"] < greedy["gap"]
    assert price["gap_best_bound"] == price["gap"]

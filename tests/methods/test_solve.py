"""`solve` as a Python function: its limits, its live report, what it refuses."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.methods.search import Search
from dtkd_opt.methods.stop import Progress
from dtkd_opt.milp.outer_approximation import OuterApproximation

NO_FIXING = do.Exact(fixing=False)


@pytest.mark.parametrize(
    ("limits", "part"),
    [
        ({"gap": "1e-6"}, "gap must be a number"),
        ({"gap": float("nan")}, "gap must be a number"),
        ({"time_limit": "5"}, "time_limit must be seconds"),
        ({"time_limit": 0}, "time_limit must be seconds"),
        ({"iterations": 2.5}, "iterations must be a whole number"),
        ({"iterations": 0}, "iterations must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": None}, "seed must be a whole number"),
    ],
)
def test_wrong_limits_are_refused_in_words(limits: dict[str, Any], part: str) -> None:
    with pytest.raises(do.UsageError, match=part):
        do.solve(do.generate_instance(2), "greedy", **limits)


def test_numpy_numbers_are_numbers() -> None:
    result = do.solve(
        do.generate_instance(3),
        "random",
        gap=np.float32(1e-3),
        time_limit=np.int64(60),
        iterations=np.int32(5),
        seed=np.int64(4),
    )
    assert do.check(result.instance, result.solution) == []
    assert type(result.solution.seed) is int


def test_the_callback_is_called_by_the_callers_thread_only() -> None:
    threads: set[int] = set()
    phases: set[str] = set()

    def callback(progress: Progress) -> None:
        threads.add(threading.get_ident())
        phases.add(progress.phase)

    do.solve(do.generate_instance(30), NO_FIXING, callback=callback)
    assert threads == {threading.get_ident()}
    assert "HiGHS round 1" in phases


def test_an_error_in_the_callback_ends_the_run_and_reaches_the_caller() -> None:
    def callback(progress: Progress) -> None:
        if progress.phase.startswith("HiGHS"):
            raise LookupError("my display is gone")

    with pytest.raises(LookupError, match="display"):
        do.solve(do.generate_instance(10), NO_FIXING, callback=callback)


def test_time_that_runs_out_while_the_milp_is_built_keeps_plan_and_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    added = []

    def late(self: OuterApproximation, *given: Any) -> None:
        added.append(given)
        monkeypatch.setattr(Search, "remaining_s", -1.0)
        original(self, *given)

    original = OuterApproximation.add_tangents_everywhere
    monkeypatch.setattr(OuterApproximation, "add_tangents_everywhere", late)
    instance = do.generate_instance(10)
    result = do.solve(instance, NO_FIXING, gap=0.0, time_limit=500.0)
    assert len(added) == 1  # the first look at the clock ended it
    assert result.solution.termination == "time_limit"
    assert do.check(instance, result.solution) == []
    assert result.gap < 0.01  # the prices' bound


def test_iterations_of_a_baseline_are_steps_of_its_prices() -> None:
    instance = do.generate_instance(20, 2)
    bounds = [do.solve(instance, "greedy", iterations=steps).bound for steps in (1, 5, 500)]
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[1] < bounds[2]


def test_allocate_refuses_two_options_of_a_user() -> None:
    options = do.build_options(do.generate_instance(3))
    with pytest.raises(ValueError, match="two options of a user"):
        do.allocate(options, options.start[:-1].repeat(2))

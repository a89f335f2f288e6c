"""`solve` as a Python function: its limits, its live report, what it refuses."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.methods.search import Search
from dtkd_opt.methods.stop import Progress
from dtkd_opt.milp.master_problem import MasterProblem
from dtkd_opt.pricing.equal_shares import cheapest_options
from dtkd_opt.records.solution import Termination

NO_FIXING = do.Exact(fixing=False)


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


@pytest.mark.parametrize("kind", [LookupError, ZeroDivisionError, do.TimeIsUp, do.InfeasibleError])
def test_an_error_in_the_callback_ends_the_run_and_reaches_the_caller(
    kind: type[Exception],
) -> None:
    """Also one by which a method would end."""

    def callback(progress: Progress) -> None:
        if progress.phase.startswith("HiGHS"):
            raise kind("my display is gone")

    with pytest.raises(kind, match="display"):
        do.solve(do.generate_instance(10), NO_FIXING, callback=callback)


def test_time_that_runs_out_while_the_milp_is_built_keeps_plan_and_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    added = []

    def late(self: MasterProblem, *given: Any) -> None:
        added.append(given)
        monkeypatch.setattr(Search, "remaining_s", -1.0)
        original(self, *given)

    original = MasterProblem.add_tangents_everywhere
    monkeypatch.setattr(MasterProblem, "add_tangents_everywhere", late)
    instance = do.generate_instance(10)
    result = do.solve(instance, NO_FIXING, gap=0.0, time_limit=500.0)
    assert len(added) == 1  # the first look at the clock ended it
    assert result.solution.termination == "time_limit"
    assert do.check(instance, result.solution) == []
    assert result.gap < 0.01  # the prices' bound


# --- plain functions, whatever they do


def try_first(search: Search, seed: int, params: None) -> Termination:
    """Each user's first option, and no bound."""
    search.try_incumbent(search.options.start[:-1])
    return "heuristic_end"


@pytest.mark.parametrize("seed", range(5))
def test_a_method_without_a_bound_gets_the_prices(seed: int) -> None:
    instance = do.generate_instance(12, 1 + seed % 3, seed)
    result = do.solve(instance, try_first)
    assert do.check(instance, result.solution) == []
    assert result.bound == do.solve(instance, "random").bound


def test_a_plan_that_the_prices_prove_counts_as_proven() -> None:
    instance = do.generate_instance(10)
    best = do.solve(instance, "price", gap=1e-3)
    assert best.incumbent is not None
    choice = best.incumbent.choice

    def try_best(search: Search, seed: int, params: None) -> Termination:
        search.try_incumbent(choice)
        return "heuristic_end"

    result = do.solve(instance, try_best, gap=1e-2)
    assert (result.status, result.solution.termination) == ("optimal", "gap_reached")
    assert do.check(instance, result.solution) == []


def test_ctrl_c_and_time_limit_still_give_a_bound() -> None:
    """Of the prices' first point only, which is worse than that of the best."""

    def press(search: Search, seed: int, params: None) -> Termination:
        try_first(search, seed, params)
        raise KeyboardInterrupt

    def linger(search: Search, seed: int, params: None) -> Termination:
        try_first(search, seed, params)
        search.started -= 1000.0
        search.check_time()
        return "heuristic_end"

    instance = do.generate_instance(20, 2)
    best = do.solve(instance, try_first).bound
    for method, end in ((press, "interrupted"), (linger, "time_limit")):
        result = do.solve(instance, method, time_limit=500.0)
        assert result.solution.termination == end
        assert do.check(instance, result.solution) == []
        assert 0 < result.bound < best


def test_a_bound_above_a_plan_is_not_replaced() -> None:
    def exaggerate(search: Search, seed: int, params: None) -> Termination:
        search.raise_bound(1e9)
        return try_first(search, seed, params)

    result = do.solve(do.generate_instance(5), exaggerate)
    assert (result.status, result.solution.objective_bound) == ("feasible", None)


def test_a_choice_without_an_allocation_says_whose_limits() -> None:
    """Everybody at the server, with deadlines made for equal shares of better choices."""
    params = do.GeneratorSettings(deadlines=1.0)
    instance = do.generate_instance(20, 1, 3, params)

    def slowest(search: Search, seed: int, params: None) -> Termination:
        search.try_incumbent(cheapest_options(search.options, -search.options.server_cycles))
        return "heuristic_end"

    result = do.solve(instance, slowest)
    assert (result.status, result.solution.termination) == ("unknown", "no_plan_found")
    assert 'slowest: its choice has no feasible allocation: server "edge-0"' in result.reason
    assert result.bound > 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"instance": "n5.json"}, "read_instance"),
        ({"options": {}}, "build_options"),
        ({"callback": 3}, "function of a Progress"),
    ],
)
def test_wrong_arguments_are_told_in_words(given: dict[str, Any], words: str) -> None:
    right = {"instance": do.generate_instance(1)}
    with pytest.raises(do.UsageError, match=words):
        do.solve(**right | given)


def test_what_is_no_plan_or_solution_is_told_in_words() -> None:
    instance = do.generate_instance(1)
    result = do.solve(instance, "greedy")
    with pytest.raises(do.UsageError, match=r"result\.plan"):
        do.evaluate(instance, result)  # type: ignore[arg-type]
    with pytest.raises(do.UsageError, match="Solution"):
        do.check(instance, 3)  # type: ignore[arg-type]
    with pytest.raises(do.InputError, match="seconds_per_error"):
        instance.copy(update={"seconds_per_error": -5})
    assert {*do.__all__} <= {*dir(do)}

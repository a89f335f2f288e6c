"""`price` lets HiGHS prove what branching cannot, or branches on where that is too much."""

from __future__ import annotations

import pytest

import dtkd_opt as do
from dtkd_opt.methods import price
from dtkd_opt.methods.branching import Branching
from dtkd_opt.methods.exact import OuterApproximation
from tests.support.paths import INSTANCES

GAP = 1e-9


def phases(result: do.Result) -> set[str]:
    return {progress.phase for progress in result.history}


@pytest.mark.parametrize("name", ["n10-s3", "n20-deadlines", "n20-energy"])
def test_highs_ends_what_branching_began(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = do.read_instance(INSTANCES / f"{name}.json")
    by_prices = do.solve(instance, "price", gap=GAP)
    assert "HiGHS round 1" not in phases(by_prices)
    monkeypatch.setattr(price, "_NODES", 1)
    monkeypatch.setattr(price, "_NODES_CONSTRAINED", 1)
    result = do.solve(instance, "price", gap=GAP)
    assert {"branching", "HiGHS round 1"} <= phases(result)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(by_prices.objective, rel=2 * GAP)
    assert result.bound >= by_prices.bound - 2 * GAP * abs(by_prices.bound)


def test_too_much_for_highs_is_branched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same tree as without a pause, node for node."""
    instance = do.read_instance(INSTANCES / "n10-s3.json")
    trees: list[Branching] = []
    original = Branching.__init__

    def keep(self: Branching, *given: object) -> None:
        original(self, *given)  # type: ignore[arg-type]
        trees.append(self)

    monkeypatch.setattr(Branching, "__init__", keep)
    by_prices = do.solve(instance, "price", gap=GAP)
    monkeypatch.setattr(price, "_NODES", 3)
    monkeypatch.setattr(price, "_HIGHS_OPTIONS", 0)
    result = do.solve(instance, "price", gap=GAP)
    assert (result.objective, result.bound) == (by_prices.objective, by_prices.bound)
    assert len(trees) == 2
    assert trees[0].nodes == trees[1].nodes > 3


def test_a_given_limit_of_nodes_starts_no_highs() -> None:
    instance = do.read_instance(INSTANCES / "n10-s3.json")
    result = do.solve(instance, "price", gap=GAP, iterations=2)
    assert result.solution.termination == "iteration_limit"
    assert not any(phase.startswith("HiGHS") for phase in phases(result))


@pytest.mark.parametrize("reason", ["stalled", "iteration_limit"])
def test_branching_goes_on_where_highs_gives_up(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = do.read_instance(INSTANCES / "n10-s3.json")
    by_prices = do.solve(instance, "price", gap=GAP)
    monkeypatch.setattr(price, "_NODES", 3)
    monkeypatch.setattr(OuterApproximation, "run", lambda self: reason)
    result = do.solve(instance, "price", gap=GAP)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(by_prices.objective, rel=2 * GAP)


def test_a_bound_of_highs_above_a_plan_leaves_that_of_branching(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instance = do.read_instance(INSTANCES / "n10-s3.json")
    best = do.solve(instance, "price", gap=GAP).objective

    def invalid(self: OuterApproximation) -> str:
        self.search.bound_invalid, self.search.bound = True, -float("inf")
        return "stalled"

    monkeypatch.setattr(price, "_NODES", 3)
    monkeypatch.setattr(OuterApproximation, "run", invalid)
    result = do.solve(instance, "price", gap=GAP)
    assert result.status == "feasible"
    assert 0.99 * best < result.bound <= best * (1 + 1e-12)

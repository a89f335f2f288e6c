"""Q-learning: exploration, rewards, and its plans against the optimum."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.methods.bounding import price_and_round
from dtkd_opt.methods.q_learning import (
    IndependentLearners,
    QLearning,
    epsilon_greedy,
    rewards,
    within_budgets,
)
from dtkd_opt.methods.search import Search
from dtkd_opt.methods.stop import Stop
from dtkd_opt.pricing.allocation import allocate
from dtkd_opt.pricing.lagrangian import price
from dtkd_opt.pricing.response import min_upload_log_shares
from tests.support.options import all_choices, mean_objective, random_choice, random_options
from tests.support.paths import INSTANCES

COLD = QLearning(cold=True, rounds=500)


def test_users_explore_as_often_as_they_should() -> None:
    start = np.arange(0, 30_001, 3)
    greedy = start[:-1].copy()
    drawn = epsilon_greedy(greedy, start, 0.3, np.random.default_rng(0))
    assert np.mean(drawn != greedy) == pytest.approx(0.3 * 2 / 3, abs=0.02)
    assert ((drawn >= start[:-1]) & (drawn < start[1:])).all()
    assert (epsilon_greedy(greedy, start, 0.0, np.random.default_rng(0)) == greedy).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_a_reward_is_minus_the_priced_cost(seed: int) -> None:
    """Without limits an option costs at its allocation's prices what the Lagrangian says."""
    rng = np.random.default_rng(seed)
    options = random_options(int(rng.integers(1, 8)), int(rng.integers(1, 4)), seed)
    choice = random_choice(options, rng)
    allocation = allocate(options, choice)
    reward, prices = rewards(options, choice, allocation, 5.0, min_upload_log_shares(options))
    assert (prices == allocation.prices).all()
    point = price(options, np.where(prices > 0, prices, 1e-30))
    assert -reward == pytest.approx(point.cost[choice], rel=1e-9)


def test_lateness_is_penalised() -> None:
    options = random_options(5, 1, 3)
    choice = random_choice(options, np.random.default_rng(0))
    allocation = allocate(options, choice)
    min_shares = min_upload_log_shares(options)
    on_time, _ = rewards(options, choice, allocation, 2.0, min_shares)
    deadline = np.repeat(allocation.delay * np.array([0.5, 0.8, 1.0, 2.0, np.inf]), 12)
    late, _ = rewards(replace(options, deadline_s=deadline), choice, allocation, 2.0, min_shares)
    assert late / on_time == pytest.approx([3.0, 1.5, 1.0, 1.0, 1.0])


def test_energy_budgets_raise_the_prices_of_the_uplink() -> None:
    """Near the exact allocation's, where shares fit the pools; it is far from them without."""
    instance = do.read_instance(INSTANCES / "n50-energy.json")
    options = do.build_options(instance)
    incumbent = do.solve(instance, gap=1e-4).incumbent
    assert incumbent is not None
    exact = allocate(options, incumbent.choice)
    free = allocate(
        replace(options, uplink_limit_s=np.full(len(options), np.inf)), incumbent.choice
    )
    assert free.prices[0, 0] < 0.95 * exact.prices[0, 0]
    chosen = options.select_rows(incumbent.choice)
    delay, shares, prices = within_budgets(chosen, free.prices, min_upload_log_shares(chosen))
    assert prices == pytest.approx(exact.prices, rel=0.05)
    assert shares.sum(axis=1) == pytest.approx(options.capacity[:, 0], rel=0.05)
    assert delay == pytest.approx(exact.delay, rel=0.05)


# --- the method


def test_two_users_find_the_optimum_of_all_their_choices() -> None:
    for seed in range(5):
        instance = do.generate_instance(2, 1, seed)
        options = do.build_options(instance)
        best = min(mean_objective(options, choice) for choice in all_choices(options))
        result = do.solve(instance, COLD, gap=0.0)
        assert result.objective == pytest.approx(best, rel=1e-9)
        assert result.bound <= best * (1 + 1e-12)


@pytest.mark.parametrize(
    ("name", "rounds", "gap"),
    [
        ("n50", 4000, 5e-4),
        ("n40-s3", 4000, 4e-3),
        ("n50-energy", 1000, 1e-2),
        pytest.param("n50-energy", 4000, 2e-3, marks=pytest.mark.slow),
    ],
)
def test_cold_learning_comes_near_the_bound(name: str, rounds: int, gap: float) -> None:
    instance = do.read_instance(INSTANCES / f"{name}.json")
    result = do.solve(instance, QLearning(cold=True, rounds=rounds))
    assert result.gap <= gap
    assert do.check(instance, result.solution) == []


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))])
def test_prices_settle_about_where_the_best_ones_are(seed: int) -> None:
    """As exploration ends the pools' prices come to rest, not far from those of the optimum.

    Not nearer, since options that are no longer taken keep values of busier rounds.
    """
    instance = do.read_instance(INSTANCES / "n50.json")
    options, rounds = do.build_options(instance), 4000
    best = do.solve(instance).incumbent
    assert best is not None
    rng = np.random.default_rng(seed)
    learners = IndependentLearners(options, np.zeros(len(options)), QLearning(), rounds, rng)
    prices = np.array([learners.play(number)[1].prices for number in range(rounds)])
    first, last = prices[:200] / best.prices, prices[-200:] / best.prices
    assert last.mean(axis=0) == pytest.approx(1.0, abs=0.25)
    assert (last.std(axis=0) < 0.5 * first.std(axis=0)).all()


@pytest.mark.parametrize("name", ["n10", "n40-s3", "n50", "n20-deadlines", "n40-s3-limits"])
def test_started_from_prices_it_is_never_worse_than_their_rounding(name: str) -> None:
    instance = do.read_instance(INSTANCES / f"{name}.json")
    search = Search(instance, do.build_options(instance), Stop(gap=0.0))
    price_and_round(search)
    result = do.solve(instance, "q-learning", gap=0.0, iterations=30)
    assert result.objective <= search.objective
    assert result.bound == search.bound


def test_its_time_limit_and_its_rounds_end_it() -> None:
    instance = do.generate_instance(30)
    params = QLearning(cold=True, rounds=10**9)
    result = do.solve(instance, params, gap=0.0, time_limit=0.5)
    assert result.solution.termination == "time_limit"
    assert math.isfinite(result.gap)
    result = do.solve(instance, params, gap=0.0, iterations=5)
    assert result.solution.termination == "iteration_limit"


def test_an_iteration_limit_only_shortens_its_rounds() -> None:
    """5 rounds that are asked for stay 5; of 5 that a limit leaves ε falls over the 5."""
    instance = do.generate_instance(30)
    plans = {
        (rounds, limit): do.solve(
            instance,
            QLearning(cold=True, rounds=rounds),
            gap=0.0,
            iterations=limit,
        )
        for rounds, limit in ((5, None), (5, 400), (10**6, 5))
    }
    ends = [result.solution.termination for result in plans.values()]
    assert ends == ["heuristic_end", "heuristic_end", "iteration_limit"]
    assert len({result.objective for result in plans.values()}) == 1


def test_no_choice_keeps_the_limits() -> None:
    instance = do.generate_instance(6, 1, 0, do.GeneratorSettings(deadlines=1.0))
    tight = instance.users.replace(deadline_s=instance.users.deadline_s * 0.6)
    infeasible = instance.replace(users=tight)
    for cold in (False, True):
        params = QLearning(cold=cold, rounds=20)
        assert do.solve(infeasible, params).status == "infeasible"

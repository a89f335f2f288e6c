"""Exchanges end where no move is better, with all limits kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.methods.exchange import improve
from dtkd_opt.methods.search import Search
from dtkd_opt.methods.stop import Stop, TimeIsUp
from dtkd_opt.problem.options import Index, Options
from tests.support.instances import trial_calibration
from tests.support.options import mean_objective, random_choice
from tests.support.paths import INSTANCES
from tests.support.strategies import instances

SEEDS = st.integers(0, 10_000)
LIMITS = do.GeneratorSettings(deadlines=0.5, energy_budgets=0.5)


def search_at(instance: do.Instance, choice: Index | None, time_limit: float = math.inf) -> Search:
    search = Search(instance, do.build_options(instance), Stop(time_limit=time_limit))
    if choice is not None:
        search.try_incumbent(choice)
    return search


def check_local_optimum(search: Search, before: float, slack: float) -> None:
    """Feasible, no worse than before, no user alone can do better by
    more than `slack`."""
    options, incumbent = search.options, search.incumbent
    assert incumbent is not None
    assert search.objective <= before
    again = do.evaluate(search.instance, incumbent.plan)
    assert again.violations == ()
    assert again.objective == search.objective
    if math.isinf(slack):
        return
    for k in np.setdiff1d(np.arange(len(options)), incumbent.choice):
        moved = incumbent.choice.copy()
        moved[options.user[k]] = k
        assert mean_objective(options, moved) >= search.objective * (1 - slack)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, users=st.integers(4, 12), servers=st.integers(1, 2))
def test_no_single_move_is_left(seed: int, users: int, servers: int) -> None:
    """Where every pool has users; for idle ones see below."""
    instance = do.generate_instance(users, servers, seed)
    options = do.build_options(instance)
    search = search_at(instance, random_choice(options, np.random.default_rng(seed)))
    before = search.objective
    improve(search)
    assert search.incumbent is not None
    assume((search.incumbent.prices > 0).all())
    check_local_optimum(search, before, 1e-12)


@pytest.mark.parametrize(("users", "servers", "seed"), [(1, 1, 1), (3, 2, 19), (4, 3, 11)])
def test_no_single_move_to_an_idle_server_is_left(users: int, servers: int, seed: int) -> None:
    instance = do.generate_instance(users, servers, seed)
    options = do.build_options(instance)
    search = search_at(instance, random_choice(options, np.random.default_rng(seed)))
    before = search.objective
    improve(search)
    check_local_optimum(search, before, 1e-12)


def feasible_choice(options: Options, seed: int) -> Index | None:
    """A random choice that keeps all limits, if one turns up."""
    rng = np.random.default_rng(seed)
    for _ in range(50):
        choice = random_choice(options, rng)
        if math.isfinite(mean_objective(options, choice)):
            return choice
    return None


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, users=st.integers(2, 8), servers=st.integers(1, 3))
def test_limits_are_kept(seed: int, users: int, servers: int) -> None:
    instance = do.generate_instance(users, servers, seed, LIMITS)
    choice = feasible_choice(do.build_options(instance), seed)
    assume(choice is not None)
    search = search_at(instance, choice)
    before = search.objective
    improve(search)
    check_local_optimum(search, before, math.inf)


def test_no_single_move_is_left_where_limits_bind() -> None:
    """One user alone could take 63 % off J."""
    instance = do.generate_instance(6, 1, 4, LIMITS, calibration=trial_calibration())
    search = search_at(instance, feasible_choice(do.build_options(instance), 4))
    before = search.objective
    improve(search)
    check_local_optimum(search, before, 1e-12)


@settings(max_examples=25, deadline=None)
@given(instance=instances(max_users=4, max_servers=3, max_models=3), seed=SEEDS)
def test_any_magnitude_stays_feasible_and_gets_no_worse(instance: do.Instance, seed: int) -> None:
    """Idle pools, zero fresh samples, zero ρ, limits: from any feasible choice."""
    try:
        options = do.build_options(instance)
    except do.InfeasibleError:
        assume(False)
        raise
    choice = random_choice(options, np.random.default_rng(seed))
    assume(math.isfinite(mean_objective(options, choice)))
    search = search_at(instance, choice)
    before = search.objective
    improve(search)
    assert search.incumbent is not None
    assert search.objective <= before
    assert do.evaluate(instance, search.incumbent.plan).violations == ()


@pytest.mark.parametrize("name", ["n10", "n20", "n20-energy"])
def test_exchanges_come_close_to_the_best(name: str) -> None:
    """From the best of a few random choices to within 1 % of the optimum."""
    instance = do.read_instance(INSTANCES / f"{name}.json")
    options = do.build_options(instance)
    rng = np.random.default_rng(0)
    choices = [random_choice(options, rng) for _ in range(200)]
    choice = min(choices, key=lambda c: mean_objective(options, c))
    search = search_at(instance, choice)
    before = search.objective
    improve(search)
    best = do.solve(instance, "price", gap=1e-7).objective
    assert best * (1 - 1e-9) <= search.objective <= best * 1.01
    assert search.objective < before


def test_the_best_plan_is_left_as_it_is() -> None:
    """Where the optimum stands, no round changes it."""
    instance = do.read_instance(INSTANCES / "n10.json")
    best = do.solve(instance, "price", gap=1e-9)
    assert best.incumbent is not None
    search = search_at(instance, best.incumbent.choice)
    before = search.incumbent
    improve(search)
    assert search.incumbent is before


def test_one_option_a_user_leaves_nothing_to_exchange() -> None:
    instance = do.generate_instance(4, 1, 0)
    options = do.build_options(instance)
    only = options.select_rows(options.start[:-1])
    search = Search(instance, only, Stop())
    search.try_incumbent(np.arange(4))
    before = search.incumbent
    improve(search)
    assert search.incumbent is before


def test_without_an_incumbent_nothing_happens() -> None:
    search = search_at(do.generate_instance(4, 1, 0), None)
    improve(search)
    assert search.incumbent is None
    assert search.history == []


def test_the_time_limit_keeps_what_was_found() -> None:
    instance = do.generate_instance(10, 2, 0)
    choice = random_choice(do.build_options(instance), np.random.default_rng(0))
    search = search_at(instance, choice, time_limit=-1.0)
    before = search.objective
    with pytest.raises(TimeIsUp):
        improve(search)
    assert search.objective == before


def test_an_idle_server_is_joined() -> None:
    """Pools that nobody uses have no price; a user who would gain from them still moves there."""
    instance = do.generate_instance(4, 2, 1)
    one = instance.users[0]
    gain = max(g for g in one.channel_gain if g is not None)
    people = tuple(one.replace(name=f"u{n}", channel_gain=(gain, gain)) for n in range(4))
    instance = instance.replace(users=people)
    options = do.build_options(instance)
    crowded = np.array(
        [
            np.flatnonzero((options.user == n) & (options.server == 0) & (options.place == 1))[0]
            for n in range(4)
        ]
    )
    search = search_at(instance, crowded)
    improve(search)
    assert search.incumbent is not None
    assert len(set(search.incumbent.plan.server)) == 2

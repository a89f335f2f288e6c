"""Exchanges end where no move is better, limits kept; predicted changes are near the true ones."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.methods import exchange
from dtkd_opt.methods.exchange import improve
from dtkd_opt.methods.search import Search
from dtkd_opt.methods.stop import Stop, TimeIsUp
from dtkd_opt.pricing.response import respond
from dtkd_opt.problem.options import Options
from dtkd_opt.records.arrays import Index
from tests.support.instances import trial_calibration
from tests.support.options import mean_objective, random_choice, random_options
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


def predicted(options: Options, choice: Index, move: Index) -> float:
    """Δ of the module's text for a move: N · ΔJ, from the choice's own prices."""
    prices = do.allocate(options, choice).prices
    response = respond(options, prices)
    cost = response.cost + options.error_cost_s
    old = choice[options.user[move]]
    demand = exchange._demand_changes(options, choice, move, response.shares).sum(axis=0)
    sensitivity = exchange._price_sensitivity(
        options, choice, prices, response.shares, response.elasticity
    )
    return float((cost[move] - cost[old]).sum() + (demand**2 / sensitivity).sum() / 2)


def true_change(options: Options, choice: Index, move: Index) -> float:
    """N · ΔJ of a move, both choices allocated."""
    moved = choice.copy()
    moved[options.user[move]] = move
    return options.n_users * (mean_objective(options, moved) - mean_objective(options, choice))


def a_move(options: Options, choice: Index, rng: np.random.Generator, users: int) -> Index:
    """Other options for some users."""
    moved = np.sort(rng.permutation(options.n_users)[:users])
    move = []
    for n in moved:
        own = np.arange(options.start[n], options.start[n + 1])
        move.append(rng.choice(own[own != choice[n]]))
    return np.array(move)


def served(options: Options, rng: np.random.Generator) -> Index:
    """A choice that uses every pool: half the users at the device, half at a server."""
    choice = random_choice(options, rng)
    for n in range(options.n_users):
        own = np.arange(options.start[n], options.start[n + 1])
        choice[n] = rng.choice(own[options.place[own] == n % 2])
    return choice


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, users=st.integers(4, 12), moves=st.sampled_from([1, 2]))
def test_without_uploads_the_predicted_change_is_exact(seed: int, users: int, moves: int) -> None:
    """Downlink and CPU: (Σ √need)² / C is quadratic, so that the second order is all there is."""
    rng = np.random.default_rng(seed)
    options = random_options(users, 1, seed)
    options = replace(options, uplink_bits=np.zeros(len(options)))
    choice = served(options, rng)
    move = a_move(options, choice, rng, moves)
    # the uplink has no price, but prices must be positive: nobody asks for it
    prices = do.allocate(options, choice).prices
    assert prices[0, 0] == 0
    used = np.where(prices > 0, prices, 1e-9)
    response = respond(options, used)
    cost = response.cost + options.error_cost_s
    demand = exchange._demand_changes(options, choice, move, response.shares).sum(axis=0)
    sensitivity = exchange._price_sensitivity(
        options, choice, used, response.shares, response.elasticity
    )
    old = choice[options.user[move]]
    predicted_change = (cost[move] - cost[old]).sum() + (demand**2 / sensitivity).sum() / 2
    total = options.n_users * mean_objective(options, choice)
    assert predicted_change == pytest.approx(true_change(options, choice, move), abs=1e-9 * total)


def test_with_uploads_the_prediction_is_of_second_order() -> None:
    """The error falls with the cube of the move's part in the pools, times their total delay."""
    rng = np.random.default_rng(0)
    mean = []
    for users in (10, 160):
        errors = []
        for seed in range(30):
            options = random_options(users, 1, seed)
            choice = served(options, rng)
            move = a_move(options, choice, rng, 1 + seed % 2)
            change = true_change(options, choice, move)
            errors.append(abs(predicted(options, choice, move) - change))
            assert errors[-1] <= 1e-2 * (0.1 + abs(change))
        mean.append(float(np.mean(errors)))
    assert mean[1] < mean[0] / 16


def test_the_second_order_matters() -> None:
    """Without it, predictions are far off: the formula is more than the reduced costs."""
    rng = np.random.default_rng(1)
    better = 0
    for seed in range(20):
        options = random_options(30, 1, seed)
        choice = served(options, rng)
        move = a_move(options, choice, rng, 2)
        response = respond(options, do.allocate(options, choice).prices)
        cost = response.cost + options.error_cost_s
        first = float((cost[move] - cost[choice[options.user[move]]]).sum())
        true = true_change(options, choice, move)
        better += abs(predicted(options, choice, move) - true) < abs(first - true) / 5
    assert better >= 16


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, servers=st.integers(1, 3))
def test_moves_are_in_the_order_of_their_predicted_gain(seed: int, servers: int) -> None:
    """What `_moves` yields first is predicted to gain most, and each user moves once."""
    rng = np.random.default_rng(seed)
    options = random_options(8, servers, seed)
    choice = random_choice(options, rng)
    prices = do.allocate(options, choice).prices
    assume((prices > 0).all())
    moves = list(exchange._moves(options, choice, prices))
    changes = [predicted(options, choice, move) for move in moves]
    assert not changes or changes[0] <= min(changes) + 1e-9
    singles = [
        predicted(options, choice, np.array([k])) for k in np.setdiff1d(range(len(options)), choice)
    ]
    if min(singles) < -1e-9:
        assert changes[0] <= min(singles) + 1e-9
    for move in moves:
        assert len(move) in (1, 2)
        assert len(set(options.user[move])) == len(move)
        assert not set(move) & set(choice)

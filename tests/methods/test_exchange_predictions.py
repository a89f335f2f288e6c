"""Exchanges: the predicted change of a move is the true one, or near it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.methods import exchange
from dtkd_opt.pricing.response import respond
from dtkd_opt.problem.options import Index, Options
from tests.support.options import mean_objective, random_choice, random_options

SEEDS = st.integers(0, 10_000)
LIMITS = do.GeneratorSettings(deadlines=0.5, energy_budgets=0.5)


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

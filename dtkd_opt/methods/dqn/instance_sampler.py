"""The instances that `dqn` is trained with, and those that validate its networks."""

from __future__ import annotations

from itertools import chain

import numpy as np

from dtkd_opt.methods.dqn.game import GameState, initial_choices, reset_feasible
from dtkd_opt.methods.dqn.method import DQN
from dtkd_opt.methods.dqn.network import QNetwork
from dtkd_opt.methods.stop import relative_gap
from dtkd_opt.pricing.allocation import Allocation, allocate, mean_cost
from dtkd_opt.pricing.bundle import maximise_bound
from dtkd_opt.problem.generate import GeneratorSettings, generate_instance
from dtkd_opt.problem.options import Options, build_options
from dtkd_opt.records.arrays import Index

VALIDATION_SEED = 500_000  # of the first instance that networks are compared on
TRAINING_SEED = 1_000_000  # instances to train with have seeds from here on


def sample_options(seed: int, max_users: int) -> Options:
    """The options of a random instance: 10 to `max_users` users, up to three servers.

    One in ten has deadlines and one in ten energy budgets; the price of an error varies.
    """
    rng = np.random.default_rng(seed)
    users = int(np.exp(rng.uniform(np.log(10), np.log(max_users + 1))))
    servers = int(rng.choice([1, 1, 2, 3]))
    settings = GeneratorSettings(
        seconds_per_error=float(np.exp(rng.uniform(np.log(50), np.log(200)))),
        deadlines=float(rng.choice([0.3, *9 * [0.0]])),
        energy_budgets=float(rng.choice([0.3, *9 * [0.0]])),
    )
    return build_options(generate_instance(users, servers, seed, settings))


def initial_state(options: Options, rng: np.random.Generator) -> GameState | None:
    """One game in five starts at random; None where no choice to begin with keeps its limits."""
    choices = initial_choices(options)
    if rng.random() < 0.2:
        choices = chain([rng.integers(options.start[:-1], options.start[1:])], choices)
    return reset_feasible(options, choices)


class Validation:
    """Instances that no training sees, with the best prices' bounds."""

    def __init__(self, count: int, max_users: int):
        self._games: list[tuple[GameState, float]] = []
        for seed in range(VALIDATION_SEED, TRAINING_SEED):
            if len(self._games) == count:
                break
            options = sample_options(seed, max_users)
            state = initial_state(options, np.random.default_rng(seed))
            if state is not None:
                bound = maximise_bound(options, tolerance=1e-6).value / options.n_users
                self._games.append((state, bound))

    def gaps(self, network: QNetwork) -> list[float]:
        """Relative gaps of the best choices met when the network plays."""
        return [relative_gap(_best_cost(state, network), bound) for state, bound in self._games]


def _best_cost(state: GameState, network: QNetwork) -> float:
    """Smallest J [s] of all rounds that a network plays."""
    options, costs, method = state.options, [], DQN()

    def record_cost(choice: Index) -> Allocation:
        allocation = allocate(options, choice)
        costs.append(mean_cost(options, choice, allocation))
        return allocation

    for _ in method.play(state, network, method.rounds, record_cost, np.random.default_rng(0)):
        pass
    return min(costs)

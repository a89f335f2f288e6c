"""The instances that `dqn` is trained with, and those that its networks are compared on."""

from __future__ import annotations

from itertools import chain

import numpy as np

from dtkd_opt.methods.dqn.game import State, begin_with, first_choices
from dtkd_opt.methods.dqn.method import DQN, QNetwork, play
from dtkd_opt.methods.stop import relative_gap
from dtkd_opt.pricing.allocation import Allocation, allocate, mean_cost
from dtkd_opt.pricing.bundle import maximise_bound
from dtkd_opt.problem.generate import GeneratorSettings, generate_instance
from dtkd_opt.problem.options import Options, build_options
from dtkd_opt.problem.physics import Index

VALIDATION_SEED = 500_000  # of the first instance that networks are compared on
TRAINING_SEED = 1_000_000  # instances to train with have seeds from here on


def draw_table(seed: int, most_users: int) -> Options:
    """The options of a random instance: 10 users to `most_users`, up to three servers.

    One in ten has deadlines and one in ten energy budgets; the price of an error varies.
    """
    rng = np.random.default_rng(seed)
    users = int(np.exp(rng.uniform(np.log(10), np.log(most_users + 1))))
    servers = int(rng.choice([1, 1, 2, 3]))
    params = GeneratorSettings(
        seconds_per_error=float(np.exp(rng.uniform(np.log(50), np.log(200)))),
        deadlines=float(rng.choice([0.3, *9 * [0.0]])),
        energy_budgets=float(rng.choice([0.3, *9 * [0.0]])),
    )
    return build_options(generate_instance(users, servers, seed, params))


def first_state(options: Options, rng: np.random.Generator) -> State | None:
    """One game in five starts at random; None where no choice to begin with keeps its limits."""
    choices = first_choices(options)
    if rng.random() < 0.2:
        choices = chain([rng.integers(options.start[:-1], options.start[1:])], choices)
    return begin_with(options, choices)


class Validation:
    """Instances that no training sees, with the best prices' bounds."""

    def __init__(self, count: int, most_users: int):
        self._games: list[tuple[State, float]] = []
        for seed in range(VALIDATION_SEED, TRAINING_SEED):
            if len(self._games) == count:
                break
            options = draw_table(seed, most_users)
            state = first_state(options, np.random.default_rng(seed))
            if state is not None:
                bound = maximise_bound(options, tolerance=1e-6).value / options.n_users
                self._games.append((state, bound))

    def gaps(self, network: QNetwork) -> list[float]:
        """Relative gaps of the best choices met when the network plays."""
        settings, gaps = DQN(), []
        for state, bound in self._games:
            game = _Game(state.options)
            rng = np.random.default_rng(0)
            for _ in play(state, network, settings, settings.rounds, game.allocate, rng):
                pass
            gaps.append(relative_gap(game.least, bound))
        return gaps


class _Game:
    """Allocates, and keeps the least J."""

    def __init__(self, options: Options):
        self.options, self.least = options, float("inf")

    def allocate(self, choice: Index) -> Allocation:
        allocation = allocate(self.options, choice)
        self.least = min(self.least, mean_cost(self.options, choice, allocation))
        return allocation

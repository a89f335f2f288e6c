"""The method `dqn`: all users follow one Q-network in the congestion game of `game.py`.

In round r of R each user is active with probability

    p(r) = p_first (p_last / p_first)^(r / (R - 1))

and takes its option of greatest Q. If all acted at once, they would crowd one pool after the
other. The best choice of all rounds is the answer; the bound is the prices'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from dtkd_opt.methods.bounding import price_bound
from dtkd_opt.methods.dqn.game import (
    Allocate,
    GameState,
    greedy_actions,
    initial_choices,
    reset,
    reset_feasible,
    step,
)
from dtkd_opt.methods.dqn.network import QNetwork, read_network
from dtkd_opt.methods.infeasible import find_plan
from dtkd_opt.methods.search import Search
from dtkd_opt.pricing.allocation import allocate
from dtkd_opt.records.fields import Count, FilePath, PositiveFraction, Record
from dtkd_opt.records.files import read_bytes, sha256
from dtkd_opt.records.solution import Termination
from dtkd_opt.runtime.threads import one_thread

SHIPPED = Path(__file__).parent / "data" / "dqn.json"

_BOUND_TOL = 1e-7  # of the bound, relative: plans are mostly a hundred times farther from it


class DQN(Record):
    """The method `dqn` with its settings."""

    network: FilePath | None = None
    """JSON file of a trained network, its weights beside it; None: the one that ships."""
    rounds: Count = 40  # of the game
    active_fraction: PositiveFraction = 0.4
    """Probability that a user is active in the first round; it falls geometrically."""
    final_active_fraction: PositiveFraction = 0.05  # the same of the last round
    sample_users: Count = 5000
    """Of more than twice as many users, about so many play for all until the last rounds."""

    def hash_files(self) -> Mapping[str, str]:
        """Of the network's two files, once they are found to be sound."""
        card = self.network or SHIPPED
        read_network(card)
        files = (card, card.with_suffix(".safetensors"))
        return {file.name: sha256(read_bytes(file)) for file in files}

    def __call__(self, search: Search, seed: int) -> Termination:
        """Let the network choose for `rounds` rounds, and keep the best choice met.

        InputError where the network's file cannot be used.
        """
        network = read_network(self.network or SHIPPED)
        any(search.try_if_feasible(choice) for choice in initial_choices(search.options))
        point = price_bound(search, float(np.clip(search.stop.gap / 10, 1e-9, _BOUND_TOL)))
        if search.incumbent is None:  # the network uses no more of these prices than a first plan
            find_plan(search, point.prices)
        search.begin_phase("rounds")
        rounds = min(search.stop.iterations or self.rounds, self.rounds)
        with one_thread():
            for _ in self._play_rounds(search, network, rounds, np.random.default_rng(seed)):
                if search.proven:
                    break
                search.check_time()
        if search.proven:
            return "gap_reached"
        return "heuristic_end" if rounds == self.rounds else "iteration_limit"

    def play(
        self,
        state: GameState,
        network: QNetwork,
        rounds: int,
        allocate: Allocate,
        rng: np.random.Generator,
    ) -> Iterator[GameState]:
        """The states after each of the rounds, in which agents drawn by `rng` are active."""
        fall = self.final_active_fraction / self.active_fraction
        for number in range(rounds):
            fraction = self.active_fraction * fall ** (number / (rounds - 1) if rounds > 1 else 0.0)
            active_agents = np.flatnonzero(rng.random(state.options.n_users) < fraction)
            actions = greedy_actions(state, active_agents, network.q_values)
            state = step(state, actions, allocate)
            yield state

    def _play_rounds(
        self, search: Search, network: QNetwork, rounds: int, rng: np.random.Generator
    ) -> Iterator[GameState]:
        """The rounds of all users; of very many, a sample plays first and finds the prices.

        These are near where all would bring them, so that all can follow the network at once and
        then need a fifth of the rounds to mend what the sample got wrong.
        """
        assert search.incumbent is not None
        options, incumbent = search.options, search.incumbent
        sampled: GameState | None = None
        every = options.n_users // self.sample_users
        if every >= 2:
            sample = options.subsample(every)
            sampled = reset_feasible(sample, initial_choices(sample))
        if sampled is None:  # few users, or the sample's first choices break limits
            state = reset(options, incumbent.choice, incumbent.prices)
        else:
            for next_state in self.play(sampled, network, rounds, partial(allocate, sample), rng):
                search.check_time()
                sampled = next_state
            rounds = -(-rounds // 5)
            state = reset(options, incumbent.choice, sampled.prices)
            actions = greedy_actions(state, np.arange(options.n_users), network.q_values)
            state = step(state, actions, search.try_incumbent)
            yield state
        yield from self.play(state, network, rounds, search.try_incumbent, rng)

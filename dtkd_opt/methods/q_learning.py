"""Q-learning chooses students and places, a convex subproblem allocates and pays back in prices.

The idea is the paper's (Wang et al., arXiv 2303.06155); only its abstract was at hand, and all that
follows is our own reconstruction in the field's usual notation. Each user is an agent with a table
Q[user, state, option] (Watkins and Dayan, "Q-learning", Machine Learning 8, 1992). One round:

1. every user takes its best option, or with probability ε any (ε-greedy);
2. the convex subproblem gives the shares x of that choice and with them the pools' prices λ;
3. user n gets the reward

       r_n = -(T_n + ρ (1 - a_n) + λ · x_n) (1 + penalty · lateness_n)

   with the priced externality λ · x_n: what its shares cost the others. So the users' own best
   options are, together, the plan's: at given prices the problem falls apart by user;
4. the state s' is the congestion of the pools that the user can reach, and

       Q[n, s, k] += α (r_n + γ max_k' Q[n, s', k'] - Q[n, s, k]).

**Limits.** Options that break a limit whatever the others do are not in the table. What is left of
energy budgets holds a user's uplink share from below, and a few steps raise the prices where such
shares overdraw a pool. Deadlines cost a penalty: lateness_n is by how much of its deadline the user
is over it, max(0, T_n / T_n^max - 1). So every choice has a defined reward, and one that cannot be
is a bad one: late, or at high prices. Greedy choices are allocated exactly, within all limits; one
that cannot be is no plan.
"""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field, Strict, model_validator

from dtkd_opt.methods.bounding import price_and_round, price_bound
from dtkd_opt.methods.infeasible import find_plan
from dtkd_opt.methods.q_table import Congestion, QTable
from dtkd_opt.methods.search import Search
from dtkd_opt.pricing.allocation import Allocation, allocate, mean_cost
from dtkd_opt.pricing.equal_shares import without_limits
from dtkd_opt.pricing.response import free_shares, min_upload_log_shares
from dtkd_opt.problem.options import Options, pool_delays
from dtkd_opt.records.arrays import Array, Index
from dtkd_opt.records.fields import (
    Amount,
    Count,
    Flag,
    Fraction,
    PositiveFraction,
    Record,
    raise_faults,
)
from dtkd_opt.records.solution import Termination

_PRICE_STEPS = 4  # with limits


class QLearning(Record):
    """`q-learning`: every user learns from rewards that the convex subproblem pays in prices."""

    cold: Flag = False  # start from empty tables, as in the paper, instead of the prices' costs
    rounds: Count = 10_000  # of choices, allocations and updates
    learning_rate: PositiveFraction = 0.1  # α, after first visits of 1, 1/2, 1/3, … that average
    epsilon: Fraction = 0.5
    """ε of the first round; it falls geometrically to `final_epsilon`. 0: nobody ever explores."""
    final_epsilon: PositiveFraction = 0.002
    """ε of the last round that is played, at most the first's; not used where that is 0."""
    discount: Annotated[float, Strict(), Field(ge=0, lt=1, allow_inf_nan=False)] = 0.5  # γ, below 1
    levels: Annotated[int, Strict(), Field(ge=1, le=9)] = 3
    """Levels of a server's congestion that a user distinguishes."""
    penalty: Amount = 1.0
    """What a user pays for being late by once its deadline, relative to its cost."""
    greedy_every: Count = 10  # rounds from one greedy choice that is tried as a plan to the next

    @model_validator(mode="after")
    def _check_epsilon(self) -> Self:
        if 0 < self.epsilon < self.final_epsilon:
            limit = f"must be at most epsilon, {self.epsilon:g}, or epsilon 0"
            raise_faults([f"final_epsilon: {limit}, got {self.final_epsilon:g}"])
        return self

    def __call__(self, search: Search, seed: int) -> Termination:
        """Learn for some rounds; the best plan met counts, with the prices' bound.

        Cold, the tables learn nothing from the best prices: these prove the bound and, where no
        round met a plan, are where the search for one starts. Otherwise the tables start from the
        costs at the best prices and the plan from their rounding, which is never lost. The stop
        rule's `iterations` can only shorten the rounds; ε falls over those that are played.
        """
        options = search.options
        if self.cold:
            price_bound(search)
            values = np.zeros(len(options))
        else:
            values = -price_and_round(search).cost / (1 - self.discount)
        search.begin_phase("Q-learning")
        rounds = min(search.stop.iterations or self.rounds, self.rounds)
        learners = IndependentLearners(options, values, self, rounds, np.random.default_rng(seed))
        for number in range(rounds):
            if search.proven:
                return "gap_reached"
            search.check_time()
            # rounds 0 to 10, each tenth to 100, each hundredth: enough to draw gaps over rounds
            if number % (1 if number < 10 else 10 if number < 100 else 100) == 0:
                search.begin_phase(f"round {number} of {rounds}")
            _try_round(search, *learners.play(number))
            if number % self.greedy_every == 0 or number == rounds - 1:
                _try_greedy(search, learners)
        if search.incumbent is None and search.dual_point is not None:
            find_plan(search, search.dual_point.prices)
        if search.proven:
            return "gap_reached"
        return "heuristic_end" if rounds == self.rounds else "iteration_limit"


def _try_round(search: Search, choice: Index, allocation: Allocation) -> None:
    """A round's own choice, if it was allocated exactly and is better than the incumbent."""
    if search.options.constrained:
        return  # its allocation knows no limits
    if mean_cost(search.options, choice, allocation) < search.objective:
        search.try_incumbent_plan(choice, allocation.shares, allocation.prices)


def _try_greedy(search: Search, learners: IndependentLearners) -> None:
    """The tables' best choice, unless even without limits it is worse."""
    choice = learners.greedy()
    if mean_cost(search.options, choice, allocate(learners.free, choice)) < search.objective:
        search.try_if_feasible(choice)


class IndependentLearners:
    """All users as independent Q-learners: their Q-tables and states, and the rounds they play."""

    def __init__(
        self,
        options: Options,
        values: Array,
        settings: QLearning,
        rounds: int,
        rng: np.random.Generator,
    ):
        self.options, self.settings, self.rounds, self.rng = options, settings, rounds, rng
        self.free, self.min_uplink_hz = without_limits(options), min_upload_log_shares(options)
        self.congestion = Congestion(options, settings.levels)
        self.state = self.congestion.states(self.congestion.reference_prices)
        self.q = QTable(options.start, self.congestion.sizes, values)

    def greedy(self) -> Index:
        """(N,) each user's best option in its state."""
        return self.q.best(self.state)[0]

    def play(self, number: int) -> tuple[Index, Allocation]:
        """One round: its choice and allocation; the tables learn from it."""
        settings, options, state = self.settings, self.options, self.state
        choice = epsilon_greedy(self.greedy(), options.start, self.epsilon(number), self.rng)
        allocation = allocate(self.free, choice)
        reward, prices = rewards(options, choice, allocation, settings.penalty, self.min_uplink_hz)
        next_state = self.congestion.states(prices)
        self.q.update(state, choice, reward, next_state, settings.learning_rate, settings.discount)
        self.state = next_state
        return choice, allocation

    def epsilon(self, number: int) -> float:
        """ε of a round: a geometric fall from the first to the last."""
        first, last = self.settings.epsilon, self.settings.final_epsilon
        return first * (last / first) ** (number / max(self.rounds - 1, 1)) if first else 0.0


def epsilon_greedy(choice: Index, start: Index, epsilon: float, rng: np.random.Generator) -> Index:
    """(N,) the choice with each user's option, with probability ε, drawn anew from all of its."""
    explores = np.flatnonzero(rng.random(len(choice)) < epsilon)
    sizes = np.diff(start)[explores]
    drawn = choice.copy()
    drawn[explores] = start[explores] + (rng.random(len(explores)) * sizes).astype(np.int64)
    return drawn


def rewards(
    options: Options, choice: Index, allocation: Allocation, penalty: float, min_uplink_hz: Array
) -> tuple[Array, Array]:
    """(N,) r_n [s] of a choice that is allocated without limits, and the prices λ (3, S).

    `min_uplink_hz` (K,) are the options' smallest uplink shares.
    """
    delay, shares, prices = allocation.delay, allocation.shares, allocation.prices
    if np.isfinite(options.uplink_limit_s[choice]).any():
        delay, shares, prices = within_budgets(
            options.select_rows(choice), prices, min_uplink_hz[choice]
        )
    payment = (prices[:, options.server[choice]] * shares).sum(axis=0)
    late = np.maximum(delay / options.deadline_s[choice] - 1, 0.0)
    reward: Array = -(delay + options.error_cost_s[choice] + payment) * (1 + penalty * late)
    return reward, prices


def within_budgets(
    chosen: Options, prices: Array, min_uplink_hz: Array
) -> tuple[Array, Array, Array]:
    """Delays (N,), shares (3, N) and prices (3, S) near those at which the shares fit the pools.

    Shares fall like λ^-1/2 where no energy budget holds them from below, so that a step
    λ (demand / C)² from the prices of the choice without budgets comes nearer from below.
    Deadlines are left to the penalty.
    """
    prices = np.maximum(prices, 1e-9 * prices.max(axis=1, keepdims=True, initial=1e-30))
    for _ in range(_PRICE_STEPS):
        shares = free_shares(chosen, prices, min_uplink_hz)
        demand = [np.bincount(chosen.server, x, minlength=chosen.n_servers) for x in shares]
        prices = prices * np.clip(np.array(demand) / chosen.capacity, 0.5, 2.0) ** 2
    shares = free_shares(chosen, prices, min_uplink_hz)
    return chosen.device_delay_s + pool_delays(chosen, shares).sum(axis=0), shares, prices

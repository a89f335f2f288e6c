"""What every method works on: the problem, the stop rule, the incumbent and the bound so far.

A method tries choices as incumbents and raises the bound; whatever ends it (gap, time, Ctrl-C),
the best incumbent and a valid bound are held here. Each incumbent is recomputed from the instance.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from dtkd_opt.errors import DtkdError, InputError, printable
from dtkd_opt.methods.stop import Callback, Progress, Stop, TimeIsUp, relative_gap
from dtkd_opt.pricing.allocation import Allocation, ChoiceInfeasible, allocate, mean_cost
from dtkd_opt.pricing.lagrangian import DualPoint
from dtkd_opt.problem.evaluate import Evaluation, evaluate
from dtkd_opt.problem.options import ACCURACY_ERROR, Options
from dtkd_opt.records.arguments import as_number
from dtkd_opt.records.arrays import Array, Index, as_numbers, as_positions
from dtkd_opt.records.instance import DEVICE, SERVER, Instance
from dtkd_opt.records.plan import Plan

BOUND_TOL = 1e-7  # relative; by rounding, a solver's bound may exceed a plan by this much
_ROUNDING = 1e-14  # of a plan's objective, relative
PLAN_TOL = 1e-8  # of the pools' worth: by its tolerances, a plan may cost less than the best


@dataclass(frozen=True, eq=False)
class Incumbent:
    """The best plan so far, with the choice and allocation behind it."""

    choice: Index  # (N,) a row of the options for each user
    plan: Plan  # the same with its shares
    evaluation: Evaluation  # its figures
    prices: Array  # (3, S) of the pools [s per Hz, Hz, cycle/s]


class Search:
    """The state of one run of a method.

    Attributes
    ----------
    instance
        The problem.
    options
        What its users choose from.
    stop
        The rule that ends the run.
    incumbent
        The best plan so far, or None.
    dual_point
        The best point of the prices so far, or None.
    bound
        The best lower bound on J [s].
    bound_invalid
        Whether a bound was above a feasible plan: it proves nothing then.
    target
        J [s] of a given plan whose gap is to be proven, or inf.
    history
        A report of progress for each phase, better plan and better bound.
    callback_error
        What the callback raised, if it did.
    """

    def __init__(
        self, instance: Instance, options: Options, stop: Stop, callback: Callback | None = None
    ):
        self.instance, self.options, self.stop = instance, options, stop
        self._callback = callback
        self.callback_error: Exception | None = None
        self.started = time.monotonic()
        self.incumbent: Incumbent | None = None
        self.dual_point: DualPoint | None = None
        self.target, self.bound, self.bound_invalid = float("inf"), -float("inf"), False
        self.phase = "start"
        self.history: list[Progress] = []

    def __repr__(self) -> str:
        return f"<Search of {self.instance!r}, {self._progress()}>"

    @property
    def objective(self) -> float:
        """The incumbent's J [s], inf without one."""
        return self.incumbent.evaluation.objective if self.incumbent else float("inf")

    @property
    def gap(self) -> float:
        """(incumbent - bound) / |incumbent|; inf while either is missing."""
        return relative_gap(self.objective, self.bound)

    @property
    def cutoff(self) -> float:
        """J [s] from which on a bound proves the gap: the incumbent's, or that of the `target`.

        A target that is worse than the incumbent by more than the gap cannot be reached.
        """
        best = self.objective
        for value in (self.target, best):
            cutoff = value - self.stop.gap * abs(value) if np.isfinite(value) else value
            if cutoff <= best and np.isfinite(value):
                return cutoff
        return best

    @property
    def proven(self) -> bool:
        """Whether a valid bound has reached the `cutoff`, or is as high as bounds go."""
        return self.bound >= min(self.cutoff, self._highest_bound) and not self.bound_invalid

    @property
    def _highest_bound(self) -> float:
        """The incumbent's J less what rounding may have added to it [s]."""
        of_accuracy = ACCURACY_ERROR * self.instance.seconds_per_error
        return self.objective - _ROUNDING * abs(self.objective) - of_accuracy

    @property
    def elapsed_s(self) -> float:
        """Since the search began [s]."""
        return time.monotonic() - self.started

    @property
    def remaining_s(self) -> float:
        """Until the time limit [s], negative after it; inf without one."""
        return self.stop.time_limit - self.elapsed_s

    @property
    def ends_at(self) -> float:
        """`time.monotonic()` at which the time limit is reached."""
        return self.started + self.stop.time_limit

    def begin_phase(self, phase: str) -> None:
        """Name what is done now, for the report of progress."""
        self.phase = phase
        self._report()

    def check_time(self) -> None:
        """Raise TimeIsUp at the time limit: to be called between the pieces of long work."""
        if self.remaining_s <= 0:
            raise TimeIsUp

    def _exceeds_plan(self, bound: float) -> bool:
        """Whether a bound is above the incumbent by more than rounding and tolerances explain.

        A plan may use a relative 1e-9 of each pool and limit, at the prices of its allocation: with
        several of them that is some 1e-8 of what the pools are worth.
        """
        if self.incumbent is None:
            return False
        worth = (self.incumbent.prices * self.options.capacity).sum() / self.options.n_users
        return bound > self.objective + BOUND_TOL * abs(self.objective) + PLAN_TOL * float(worth)

    def raise_bound(self, bound: float) -> None:
        """A valid lower bound on J [s]; one above a feasible plan is not used."""
        bound = as_number(bound, "bound must be a number of seconds", lambda x: not np.isnan(x))
        if self._exceeds_plan(bound):
            self.bound_invalid = True
            return
        bound = min(bound, self._highest_bound)
        if bound > self.bound:
            self.bound = bound
            self._report()

    def try_incumbent(self, choice: Index) -> Allocation:
        """Allocate a choice and keep it if it is the best; ChoiceInfeasible if it breaks limits.

        InputError where it is not one option of each user, in their order.
        """
        choice = self._choice(choice)
        allocation = allocate(self.options, choice)
        if mean_cost(self.options, choice, allocation) < self.objective:
            self.try_incumbent_plan(choice, allocation.shares, allocation.prices)
        return allocation

    def try_if_feasible(self, choice: Index) -> Allocation | None:
        """As :meth:`try_incumbent`; None where the choice cannot keep its limits."""
        with suppress(ChoiceInfeasible):
            return self.try_incumbent(choice)
        return None

    def try_incumbent_plan(self, choice: Index, shares: Array, prices: Array) -> None:
        """Keep a choice with given (3, N) shares if it is feasible and the best so far.

        `prices` (3, S) are those of its pools; errors as of :meth:`try_incumbent`.
        """
        options = self.options
        choice = self._choice(choice)
        shares = as_numbers(shares, "shares", 3, options.n_users)
        prices = as_numbers(prices, "prices", 3, options.n_servers)
        plan = make_plan(self.options, choice, shares)
        evaluation = evaluate(self.instance, plan)
        if evaluation.violations:
            raise ArithmeticError("; ".join(evaluation.violations[:3]))
        if evaluation.objective < self.objective:
            self.incumbent = Incumbent(choice, plan, evaluation, prices)
            if self._exceeds_plan(self.bound):
                self.bound_invalid, self.bound = True, -float("inf")
            self.bound = min(self.bound, self._highest_bound)
            self._report()

    def _choice(self, choice: Index) -> Index:
        options = self.options
        rows = as_positions(choice, "choice", len(options), options.n_users)
        if (options.user[rows] != np.arange(options.n_users)).any():
            raise InputError("choice", ["must have one option of each user, in their order"])
        return rows

    def _progress(self) -> Progress:
        return Progress(self.phase, self.bound, self.objective, self.elapsed_s)

    def _report(self) -> None:
        progress = self._progress()
        self.history.append(progress)
        if self._callback is not None:
            try:
                self._callback(progress)
            except Exception as error:  # not one of the method's, which may end it in words
                self.callback_error = error
                raise


def make_plan(options: Options, choice: Index, shares: Array) -> Plan:
    """The plan of a choice: (N,) rows of the options and (3, N) shares of its servers' pools."""
    place = options.place[choice]
    return Plan(
        model=options.model[choice],
        place=place,
        server=options.server[choice],
        uplink_hz=shares[0],
        downlink_hz=shares[1],
        cpu_hz=np.where(place == SERVER, shares[2], 0.0),
        device_hz=np.where(place == DEVICE, options.device_hz[choice], 0.0),
    )


class NoPlanError(DtkdError):
    """A heuristic's choice has no feasible allocation; others may have one."""

    exit_code = 3


def describe_conflicts(error: ChoiceInfeasible, instance: Instance) -> str:
    """Which users of which servers cannot keep their limits together, by name."""
    users, servers = instance.users, instance.servers
    return "; ".join(
        printable(
            conflict.describe(
                servers[conflict.server].name, [users[n].name for n in conflict.users]
            )
        )
        for conflict in error.conflicts
    )

"""Exact: Pyomo's perspective MILP and HiGHS by outer approximation.

1. Prices give a bound, an incumbent and for every option the shares that it would buy.
2. Reduced costs remove options for good: bound + reduced cost > incumbent.
3. The MILP of what is left starts with tangents at 0.7, 1 and 1.4 times the bought shares.
4. Each round solves it, allocates its choice exactly, and adds the tangents at that allocation,
   which make the MILP exact for this choice. A choice that cannot keep its limits is cut off by
   the prices that prove it. No choice comes twice, so that rounds end.
"""

from __future__ import annotations

import numpy as np

from dtkd_opt.methods.bounding import price_and_round
from dtkd_opt.methods.infeasible import find_plan
from dtkd_opt.methods.search import Search
from dtkd_opt.pricing.allocation import ChoiceInfeasible
from dtkd_opt.pricing.constrained_allocation import Conflict
from dtkd_opt.pricing.lagrangian import DualPoint
from dtkd_opt.pricing.response import respond
from dtkd_opt.problem.options import Options
from dtkd_opt.problem.physics import Array, Index
from dtkd_opt.records.fields import Count, Flag, Record
from dtkd_opt.records.solution import Termination
from dtkd_opt.solvers.highs import HighsParams, MilpOutcome, PersistentMilp

TANGENTS_AT = (0.7, 1.0, 1.4)
_PIECE = 2000  # options whose tangents are added between two looks at the clock


class ExactParams(Record):
    """Settings of `exact`: whether prices may fix options, and HiGHS's own."""

    fixing: Flag = True
    max_rounds: Count = 1000
    highs: HighsParams = HighsParams()


def exact(search: Search, seed: int, params: ExactParams) -> Termination:
    """Prove the search's gap, or stop at its limits; see the module's text for the steps."""
    point = price_and_round(search, prove=params.fixing)
    if search.proven:
        return "gap_reached"
    if search.remaining_s <= 0:
        return "time_limit"
    left = np.arange(len(search.options))
    if params.fixing and search.incumbent is not None:
        left = unfixed_options(search, point)
        if len(left) == search.options.n_users:  # only the incumbent's choice is left
            search.raise_bound(search.objective)
            return "gap_reached"
    try:
        termination = Rounds(search, point, left, seed, params).run()
    finally:  # however it ends, HiGHS's bound may be the worse
        search.raise_bound(point.value / search.options.n_users)
    return "gap_reached" if search.proven else termination


def unfixed_options(search: Search, point: DualPoint) -> Index:
    """Rows of the options that a plan better than the incumbent could still take."""
    least = (point.value + point.reduced_cost) / search.options.n_users
    return np.flatnonzero(least <= search.objective * (1 + 1e-12))


class Rounds:
    """Outer approximation on the options that are `left` (rows of the search's table)."""

    def __init__(
        self,
        search: Search,
        point: DualPoint,
        left: Index,
        seed: int,
        params: ExactParams,
        unit_s: float | None = None,
    ):
        from dtkd_opt.formulations import perspective  # Pyomo is imported only here

        search.enter("building")
        self.search, self.params, self.left, self.point = search, params, left, point
        # HiGHS's tolerances are absolute: a unit of time in which delays are about one
        usual = float(np.mean(point.response.delay[point.choice]))
        self.unit_s = unit_s or 10.0 ** round(np.log10(usual))
        self.options: Options = search.options.select_rows(left).in_time_unit(self.unit_s)
        self.algebra = perspective
        self.model = perspective.build(self.options)
        self.variables = list(perspective.binaries(self.model))
        search.keep_time()
        self.milp = PersistentMilp(self.model, params.highs, seed)
        for factor in TANGENTS_AT:
            self._add_tangents(np.arange(len(left)), factor * point.response.shares[:, left])
        self.seen: set[bytes] = set()
        if search.incumbent is not None:
            self._tangents_at_incumbent()

    def run(self) -> Termination:
        search = self.search
        limit = search.stop.iterations or self.params.max_rounds
        for number in range(1, limit + 1):
            search.enter(f"HiGHS round {number}")
            outcome = self._solve()
            if outcome.reason == "infeasible":
                if search.incumbent is None:  # prices must prove it, or a plan refute it
                    find_plan(search, self.point.prices)
                return "stalled"  # there is a plan, a point of this MILP: HiGHS has lost its way
            if np.isfinite(outcome.bound):
                self._raise_bound(outcome.bound)
            if search.proven:
                return "gap_reached"
            fresh = self._learn() if outcome.has_solution else False
            if search.proven:
                return "gap_reached"
            if outcome.reason in ("interrupted", "time_limit"):
                return "interrupted" if outcome.reason == "interrupted" else "time_limit"
            if not fresh:
                return "stalled"
        return "iteration_limit"

    def _solve(self) -> MilpOutcome:
        search = self.search
        if search.incumbent is not None:
            rows = np.searchsorted(self.left, search.incumbent.choice)
            on = np.zeros(len(self.left))
            on[rows] = 1.0
            self.milp.start_from(list(zip(self.variables, on, strict=True)))
        gap = self.params.highs.mip_rel_gap
        gap = search.stop.gap / 2 if gap is None else gap
        return self.milp.run(gap, search.remaining_s, self._raise_bound)

    def _raise_bound(self, bound: float) -> None:
        """HiGHS's bound, in its unit of time."""
        self.search.raise_bound(bound * self.unit_s)

    def _learn(self) -> bool:
        """Allocate the MILP's choice and cut where the MILP misjudged it; False if it did not."""
        taken = np.flatnonzero(self.milp.values(self.variables) > 0.5)
        choice = self.left[taken]
        if choice.tobytes() in self.seen:
            return False
        self.seen.add(choice.tobytes())
        try:
            allocation = self.search.offer(choice)
        except ChoiceInfeasible as error:
            for conflict in error.conflicts:
                self._cut_off(conflict, taken)
            return True
        self._add_tangents(taken, allocation.shares)
        prices = np.where(allocation.prices > 0, allocation.prices, self.point.prices)
        shares = respond(self.options, prices / self.unit_s).shares
        self._add_tangents(np.arange(len(self.left)), shares)
        return True

    def _add_tangents(self, rows: Index, shares: Array) -> None:
        """Tangents of some options of the MILP; in pieces, which on large ones take seconds."""
        for first in range(0, len(rows), _PIECE):
            self.search.keep_time()
            piece = slice(first, first + _PIECE)
            self.milp.add(self.algebra.add_tangents(self.model, rows[piece], shares[:, piece]))

    def _tangents_at_incumbent(self) -> None:
        incumbent = self.search.incumbent
        assert incumbent is not None
        plan = incumbent.plan
        shares = np.array([plan.uplink_hz, plan.downlink_hz, plan.cpu_hz])
        self._add_tangents(np.searchsorted(self.left, incumbent.choice), shares)

    def _cut_off(self, conflict: Conflict, taken: Index) -> None:
        """Forbid what a conflict proves impossible: by its prices, and its users' own choice."""
        at_server = np.flatnonzero(self.options.server == conflict.server)
        prices = np.tile(conflict.prices[:, None], (1, self.options.n_servers))
        cost: Array = respond(self.options.select_rows(at_server), prices, min_cost=True).cost
        own = taken[conflict.users]
        self.milp.add(
            [
                self.algebra.add_conflict(self.model, at_server, cost),
                self.algebra.add_conflict(self.model, own, np.full(len(own), 1 / (len(own) - 0.5))),
            ]
        )

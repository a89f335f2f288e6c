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
from dtkd_opt.methods.branching import prove_choice
from dtkd_opt.methods.infeasible import find_plan
from dtkd_opt.methods.search import Search
from dtkd_opt.milp.master_problem import MasterProblem
from dtkd_opt.pricing.allocation import ChoiceInfeasible
from dtkd_opt.pricing.equal_shares import alone_cost
from dtkd_opt.pricing.lagrangian import DualPoint
from dtkd_opt.records.arrays import Index
from dtkd_opt.records.fields import Count, Flag, Record
from dtkd_opt.records.solution import Termination
from dtkd_opt.solvers.highs import HighsSettings, MilpOutcome

TANGENTS_AT = (0.7, 1.0, 1.4)
_HIGHS_ERROR = 1e-8  # of its bound, relative


class Exact(Record):
    """`exact`: prices fix what they can, a Pyomo MILP and HiGHS prove the rest."""

    fixing: Flag = True
    """Whether prices fix options and prove their bound; False: only HiGHS, on all options."""
    max_rounds: Count = 1000  # solves of the MILP, where the stop rule sets no limit
    highs: HighsSettings = HighsSettings()  # HiGHS's own settings

    def __call__(self, search: Search, seed: int) -> Termination:
        """Prove the search's gap, or stop at its limits; see the module's text for the steps."""
        point = price_and_round(search, prove=self.fixing)
        if search.proven:
            return "gap_reached"
        if search.remaining_s <= 0:
            return "time_limit"
        rows = np.arange(len(search.options))
        if self.fixing and search.incumbent is not None:
            rows = unfixed_options(search, point)
            if len(rows) == search.options.n_users:  # only the incumbent's choice is left
                proven = prove_choice(search.options.select_rows(rows), point.prices)
                search.raise_bound(min(proven.value / search.options.n_users, search.objective))
            if search.proven:
                return "gap_reached"
        try:
            termination = OuterApproximation(search, point, rows, seed, self).run()
        finally:  # however it ends, HiGHS's bound may be the worse
            search.raise_bound(point.value / search.options.n_users)
        return "gap_reached" if search.proven else termination


def unfixed_options(search: Search, point: DualPoint) -> Index:
    """Rows of the options that a plan better than the incumbent could still take, and its own.

    An option costs what prices say, and at least what it costs with all pools to itself: where
    nobody uses a pool its price says nothing.
    """
    options = search.options
    excess = point.reduced_cost + np.maximum(alone_cost(options) - point.cost, 0.0)
    bound = (point.value + excess) / options.n_users
    unfixed = bound <= search.objective * (1 + 1e-12)
    if search.incumbent is not None:  # a user of whom nothing is left proves that it is the best
        unfixed[search.incumbent.choice] = True
    return np.flatnonzero(unfixed)


class OuterApproximation:
    """Outer approximation on `rows` of the search's options: a master problem and its cuts."""

    def __init__(
        self,
        search: Search,
        point: DualPoint,
        rows: Index,
        seed: int,
        settings: Exact,
        unit_s: float | None = None,
    ):
        search.begin_phase("building")
        self.search, self.settings, self.point = search, settings, point
        delay_s = float(np.mean(point.response.delay[point.choice]))
        unit_s = unit_s or 10.0 ** round(np.log10(delay_s))
        self.master = MasterProblem(
            search.options, rows, settings.highs, seed, unit_s, search.check_time
        )
        for factor in TANGENTS_AT:
            self.master.add_tangents_everywhere(factor * point.response.shares[:, rows])
        self.seen: set[bytes] = set()
        if search.incumbent is not None:
            plan = search.incumbent.plan
            shares = np.array([plan.uplink_hz, plan.downlink_hz, plan.cpu_hz])
            self.master.add_tangents(search.incumbent.choice, shares)

    def run(self) -> Termination:
        """Solve and cut until the gap is proven or a choice comes again."""
        search = self.search
        limit = search.stop.iterations or self.settings.max_rounds
        for number in range(1, limit + 1):
            search.begin_phase(f"HiGHS round {number}")
            outcome = self.solve()
            if outcome.reason == "infeasible":
                if search.incumbent is None:  # prices must prove it, or a plan refute it
                    find_plan(search, self.point.prices)
                return "stalled"  # there is a plan, a point of this MILP: HiGHS is wrong
            if np.isfinite(outcome.bound):
                search.raise_bound(self.below(outcome.bound))
            if search.proven:
                return "gap_reached"
            new = self.add_cuts() if outcome.has_solution else False
            if search.proven:
                return "gap_reached"
            if outcome.reason in ("interrupted", "time_limit"):
                return "interrupted" if outcome.reason == "interrupted" else "time_limit"
            if not new:
                return "stalled"
        return "iteration_limit"

    def solve(self) -> MilpOutcome:
        """Solve the MILP, starting from the incumbent."""
        search = self.search
        start = None if search.incumbent is None else search.incumbent.choice
        gap = self.settings.highs.mip_rel_gap
        gap = search.stop.gap / 2 if gap is None else gap

        def report(bound: float) -> None:
            search.raise_bound(self.below(bound))

        return self.master.solve(start, gap, search.remaining_s, report)

    def below(self, bound: float) -> float:
        """HiGHS's bound less what its tolerances may have added, a part of the gap to be proven."""
        return bound - min(_HIGHS_ERROR, self.search.stop.gap / 4) * abs(bound)

    def add_cuts(self) -> bool:
        """Allocate the MILP's choice and cut there; False for a choice that came before."""
        choice = self.master.choice()
        if choice.tobytes() in self.seen:
            return False
        self.seen.add(choice.tobytes())
        try:
            allocation = self.search.try_incumbent(choice)
        except ChoiceInfeasible as error:
            for conflict in error.conflicts:
                self.master.add_conflict_cut(conflict, choice)
            return True
        self.master.add_tangents(choice, allocation.shares)
        prices = np.where(allocation.prices > 0, allocation.prices, self.point.prices)
        self.master.add_tangents_at_prices(prices)
        return True

"""Price: Lagrangian prices, rounding, exchanges, and branching on what they leave open.

Where a few users share many servers, the prices' gap is wide and the tree grows beyond all measure:
after some nodes HiGHS gets what reduced costs have left.
"""

from __future__ import annotations

import numpy as np

from dtkd_opt.errors import UsageError
from dtkd_opt.methods.bounding import price_and_round
from dtkd_opt.methods.branching import Branching
from dtkd_opt.methods.infeasible import find_plan
from dtkd_opt.methods.proof_tree import ProofTree
from dtkd_opt.methods.search import Search
from dtkd_opt.methods.stop import TimeIsUp
from dtkd_opt.records.arrays import Array
from dtkd_opt.records.fields import NonNegatives, Record
from dtkd_opt.records.solution import Termination

_NODES = 150  # before HiGHS; proofs that end take some ten, and HiGHS a second to import and build
_NODES_CONSTRAINED = 50  # with limits, where a node takes ten times as long
_ENDS = (TimeIsUp, KeyboardInterrupt, ArithmeticError)
_HIGHS_OPTIONS = 20_000  # more than these HiGHS does not close in any reasonable time


class Price(Record):
    """`price`: prove the gap by prices, at any size."""

    start: tuple[NonNegatives, NonNegatives, NonNegatives] | None = None
    """Prices to start from, (3, S) [s per Hz, Hz, cycle/s], such as those of a similar instance."""

    def __call__(self, search: Search, seed: int) -> Termination:
        """Prove the search's gap by prices, branching on what their bound leaves open."""
        max_nodes: int | None = _NODES_CONSTRAINED if search.options.constrained else _NODES
        if search.stop.iterations is not None:
            max_nodes = None
        termination, branching = self._bound_and_branch(search, max_nodes)
        if termination not in ("iteration_limit", "stalled") or max_nodes is None:
            return termination
        return _continue_with_highs(search, seed, branching)

    def prove(self, search: Search) -> tuple[Termination, ProofTree]:
        """As calling it, by prices alone, with the tree of splits and priced leaves."""
        termination, branching = self._bound_and_branch(search)
        return termination, branching.close()

    def _bound_and_branch(
        self, search: Search, max_nodes: int | None = None
    ) -> tuple[Termination, Branching]:
        """Prices, a plan, and at most `max_nodes` of branching; why it ended, and the tree."""
        try:
            point = price_and_round(search, start=self._start_prices(search))
            if search.incumbent is None and not search.proven:
                find_plan(search, point.prices)
        except _ENDS as stop:
            if search.dual_point is None:
                raise
            return _termination(stop), Branching(search, search.dual_point)
        branching = Branching(search, point)
        if search.proven:
            return "gap_reached", branching
        try:
            return branching.run(max_nodes), branching
        except _ENDS as stop:
            return _termination(stop), branching

    def _start_prices(self, search: Search) -> Array | None:
        if self.start is None:
            return None
        size = search.options.n_servers
        if any(len(row) != size for row in self.start):
            raise UsageError(f"start must be prices of 3 pools at {size} server(s)")
        return np.array(self.start)


def _continue_with_highs(search: Search, seed: int, branching: Branching) -> Termination:
    """Let HiGHS prove what reduced costs have left, or branch on where that is too much."""
    # a second to import
    from dtkd_opt.methods.exact import Exact, OuterApproximation, unfixed_options

    point = search.dual_point
    assert point is not None  # branching began with it
    rows = unfixed_options(search, point)
    if len(rows) > _HIGHS_OPTIONS:
        return branching.run()
    try:
        termination = OuterApproximation(search, point, rows, seed, Exact()).run()
    finally:  # however it ends, HiGHS's bound may be the worse
        search.raise_bound(branching.bound)
    if termination in ("stalled", "iteration_limit") and not search.bound_invalid:
        return branching.run()
    return "gap_reached" if search.proven else termination


def _termination(stop: BaseException) -> Termination:
    if isinstance(stop, ArithmeticError):  # rounding left no way on: what was proven stays valid
        return "stalled"
    return "interrupted" if isinstance(stop, KeyboardInterrupt) else "time_limit"

"""The master problem of outer approximation: a perspective MILP in HiGHS that grows by cuts.

Tangents t ≥ (T(b0) - T'(b0) b0) x + T'(b0) b bound a delay T from below: at a choice's optimal
shares b0 they make the MILP exact for this choice. Choices that cannot keep their limits are cut
off by the prices that prove it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dtkd_opt.pricing.constrained_allocation import Conflict
from dtkd_opt.pricing.response import respond
from dtkd_opt.problem.options import Options
from dtkd_opt.records.arrays import Array, Index
from dtkd_opt.solvers.highs import HighsSettings, MilpOutcome, PersistentMilp

_CHUNK = 2000  # options whose tangents are added between two checks of the time


class MasterProblem:
    """The MILP of some rows of the options; choices are rows of all of them.

    Parameters
    ----------
    options, rows
        All options, and which of their rows the MILP has.
    settings, seed
        HiGHS's.
    unit_s
        The MILP's unit of time [s]. HiGHS's tolerances are absolute: delays should be about one.
    check_time
        Called between the steps of long work; what it raises ends the work.
    """

    def __init__(
        self,
        options: Options,
        rows: Index,
        settings: HighsSettings,
        seed: int,
        unit_s: float,
        check_time: Callable[[], None] = lambda: None,
    ):
        from dtkd_opt.formulations import perspective  # Pyomo is imported only here

        self.rows, self.unit_s, self._check_time = rows, unit_s, check_time
        self.options: Options = options.select_rows(rows).in_time_unit(unit_s)
        self._algebra = perspective
        self.model = perspective.build(self.options)
        self._variables = list(perspective.binaries(self.model))
        check_time()
        self._milp = PersistentMilp(self.model, settings, seed)

    def solve(
        self, start: Index | None, gap: float, time_limit: float, callback: Callable[[float], None]
    ) -> MilpOutcome:
        """Solve it with the cuts so far, from a choice (N,) or None, to a relative gap or seconds.

        `callback` gets HiGHS's bound [s] now and then. Returns why HiGHS stopped, whether it holds
        a choice, and its bound [s].
        """
        if start is not None:
            chosen = np.zeros(len(self.rows))
            chosen[np.searchsorted(self.rows, start)] = 1.0
            self._milp.start_from(list(zip(self._variables, chosen, strict=True)))
        outcome = self._milp.run(gap, time_limit, lambda bound: callback(bound * self.unit_s))
        return replace(outcome, bound=outcome.bound * self.unit_s)

    def choice(self) -> Index:
        """(N,) the last solution's choice; ArithmeticError where HiGHS lost it to rounding."""
        choice = np.asarray(self.rows[self._milp.values(self._variables) > 0.5])
        if len(choice) != self.options.n_users:
            raise ArithmeticError("HiGHS's solution does not choose one option for each user")
        return choice

    def add_tangents(self, choice: Index, shares: Array) -> None:
        """Tangents of some options, rows in order, at their shares (3, len(choice))."""
        own_rows = np.searchsorted(self.rows, choice)
        for first in range(0, len(own_rows), _CHUNK):  # on large ones this takes seconds
            self._check_time()
            chunk = slice(first, first + _CHUNK)
            tangents = self._algebra.add_tangents(self.model, own_rows[chunk], shares[:, chunk])
            self._milp.add(tangents)

    def add_tangents_everywhere(self, shares: Array) -> None:
        """Tangents of all its options at their shares, (3, len(rows))."""
        self.add_tangents(self.rows, shares)

    def add_tangents_at_prices(self, prices: Array) -> None:
        """Tangents of all its options at the shares that they would buy at prices (3, S)."""
        self.add_tangents_everywhere(respond(self.options, prices / self.unit_s).shares)

    def add_conflict_cut(self, conflict: Conflict, choice: Index) -> None:
        """Forbid what a conflict proves impossible: by its prices, and its users' own choice."""
        at_server = np.flatnonzero(self.options.server == conflict.server)
        prices = np.tile(conflict.prices[:, None], (1, self.options.n_servers))
        cost: Array = respond(self.options.select_rows(at_server), prices, min_cost=True).cost
        own = np.searchsorted(self.rows, choice[conflict.users])
        weight = np.full(len(own), 1 / (len(own) - 0.5))
        cuts = ((at_server, cost), (own, weight))
        self._milp.add([self._algebra.add_conflict(self.model, *cut) for cut in cuts])

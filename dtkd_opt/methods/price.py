"""Price: Lagrangian prices, rounding, exchanges, and branching on what they leave open."""

from __future__ import annotations

from dataclasses import dataclass

from dtkd_opt.methods.bounding import price_and_round
from dtkd_opt.methods.branching import Branching
from dtkd_opt.methods.infeasible import find_plan
from dtkd_opt.methods.proof import Leaf, Proof
from dtkd_opt.methods.search import Search, TimeIsUp
from dtkd_opt.physics import Array
from dtkd_opt.solution import Termination


@dataclass(frozen=True, eq=False)
class PriceParams:
    """Settings of `price`: prices to start from, (3, S), such as those of a similar instance."""

    start: Array | None = None


def price(search: Search, seed: int, params: PriceParams) -> Termination:
    """Prove the search's gap by prices alone, at any size (DESIGN section 5, facts 3 to 5).

    Raises
    ------
    InfeasibleError
        When prices prove that no choice keeps the limits.
    NoPlanError
        When neither a plan nor such a proof was found.
    """
    termination, _ = price_with_proof(search, params)
    return termination


def price_with_proof(search: Search, params: PriceParams) -> tuple[Termination, Proof]:
    """As :func:`price`, with the tree of splits and priced leaves behind the bound."""
    try:
        point = price_and_round(search, start=params.start)
        if search.proven:
            return "gap_reached", Proof([Leaf(point.prices, point.value)])
        if search.incumbent is None:
            find_plan(search, point.prices)
    except (TimeIsUp, KeyboardInterrupt) as stop:
        if search.priced is None:
            raise
        return _why(stop), Proof([Leaf(search.priced.prices, search.priced.value)])
    branching = Branching(search, point)
    termination: Termination
    try:
        termination = branching.run()
    except (TimeIsUp, KeyboardInterrupt) as stop:
        termination = _why(stop)
    return termination, branching.close()


def _why(stop: BaseException) -> Termination:
    return "interrupted" if isinstance(stop, KeyboardInterrupt) else "time_limit"

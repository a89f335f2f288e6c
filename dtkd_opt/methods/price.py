"""Price: Lagrangian prices, rounding, exchanges, and branching on what they leave open."""

from __future__ import annotations

from dataclasses import dataclass

from dtkd_opt.methods.bounding import price_and_round
from dtkd_opt.methods.branching import Branching
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
    """
    termination, _ = price_with_proof(search, params)
    return termination


def price_with_proof(search: Search, params: PriceParams) -> tuple[Termination, Proof]:
    """As :func:`price`, with the tree of splits and priced leaves behind the bound."""
    point = price_and_round(search, start=params.start)
    if search.proven:
        return "gap_reached", Proof([Leaf(point.prices, point.value)])
    branching = Branching(search, point)
    termination: Termination
    try:
        termination = branching.run()
    except TimeIsUp:
        termination = "time_limit"
    except KeyboardInterrupt:
        termination = "interrupted"
    return termination, branching.close()

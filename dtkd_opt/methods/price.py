"""Price: Lagrangian prices, rounding, exchanges, and branching on what they leave open."""

from __future__ import annotations

from dtkd_opt.methods.bounding import price_and_round
from dtkd_opt.methods.branching import Branching
from dtkd_opt.methods.search import Search
from dtkd_opt.solution import Termination


def price(search: Search, seed: int, params: None) -> Termination:
    """Prove the search's gap by prices alone, at any size (DESIGN section 5, facts 3 to 5).

    Raises
    ------
    InfeasibleError
        When prices prove that no choice keeps the limits.
    """
    point = price_and_round(search)
    if search.proven:
        return "gap_reached"
    return Branching(search, point.prices).run()

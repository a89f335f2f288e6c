"""Price: Lagrangian prices, rounding, exchanges, and branching on what they leave open.

Where a few users share many servers, the prices' gap is wide and the tree grows beyond all measure:
after a while HiGHS gets what reduced costs have left.
"""

from __future__ import annotations

from dataclasses import dataclass

from dtkd_opt.methods.bounding import price_and_round
from dtkd_opt.methods.branching import Branching
from dtkd_opt.methods.infeasible import find_plan
from dtkd_opt.methods.proof_tree import Proof
from dtkd_opt.methods.search import Search, TimeIsUp
from dtkd_opt.problem.physics import Array
from dtkd_opt.records.solution import Termination

_PATIENCE = 500  # nodes; proofs that end take some hundred, and HiGHS takes a second to build
_PATIENCE_LIMITED = 50  # with limits, where a node takes ten times as long
_HANDED = 20_000  # options; of more HiGHS makes nothing in any reasonable time


@dataclass(frozen=True, eq=False)
class PriceParams:
    """Settings of `price`: prices to start from, (3, S), such as those of a similar instance."""

    start: Array | None = None


def price(search: Search, seed: int, params: PriceParams) -> Termination:
    """Prove the search's gap by prices, at any size, by branching on what their bound leaves open.

    Raises
    ------
    InfeasibleError
        When prices prove that no choice keeps the limits.
    NoPlanError
        When neither a plan nor such a proof was found.
    """
    patience: int | None = _PATIENCE_LIMITED if search.options.constrained else _PATIENCE
    if search.stop.iterations is not None:
        patience = None
    termination, branching = _bound_and_branch(search, params, patience)
    if termination != "iteration_limit" or patience is None:
        return termination
    return _hand_over(search, seed, branching)


def price_with_proof(search: Search, params: PriceParams) -> tuple[Termination, Proof]:
    """As :func:`price` by prices alone, with the tree of splits and priced leaves."""
    termination, branching = _bound_and_branch(search, params)
    return termination, branching.close()


def _bound_and_branch(
    search: Search, params: PriceParams, max_nodes: int | None = None
) -> tuple[Termination, Branching]:
    """Prices, a plan, and at most `max_nodes` of branching; why it ended and what it knows."""
    try:
        point = price_and_round(search, start=params.start)
        if search.incumbent is None and not search.proven:
            find_plan(search, point.prices)
    except (TimeIsUp, KeyboardInterrupt) as stop:
        if search.priced is None:
            raise
        return _why(stop), Branching(search, search.priced)
    branching = Branching(search, point)
    if search.proven:
        return "gap_reached", branching
    try:
        return branching.run(max_nodes), branching
    except (TimeIsUp, KeyboardInterrupt) as stop:
        return _why(stop), branching


def _hand_over(search: Search, seed: int, branching: Branching) -> Termination:
    """Let HiGHS prove what reduced costs have left, or branch on where that is too much."""
    from dtkd_opt.methods.exact import ExactParams, Rounds, unfixed_options  # a second to import

    point = search.priced
    assert point is not None  # branching began with it
    left = unfixed_options(search, point)
    if len(left) > _HANDED:
        return branching.run()
    try:
        termination = Rounds(search, point, left, seed, ExactParams()).run()
    finally:  # however it ends, HiGHS's bound may be the worse
        search.raise_bound(branching.bound)
    if termination in ("stalled", "iteration_limit") and not search.refuted:
        return branching.run()
    return "gap_reached" if search.proven else termination


def _why(stop: BaseException) -> Termination:
    return "interrupted" if isinstance(stop, KeyboardInterrupt) else "time_limit"

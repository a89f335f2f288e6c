"""Proof that no choice at all keeps the limits, where one set of prices does not suffice.

The options are split until prices prove of each part that its users need more than the pools
hold (`find_infeasibility_proof`), or until a feasible plan turns up.
"""

from __future__ import annotations

import numpy as np

from dtkd_opt.errors import InfeasibleError, printable
from dtkd_opt.methods.search import NoPlanError, Search
from dtkd_opt.pricing.bundle import maximise_bound
from dtkd_opt.pricing.lagrangian import DualPoint, find_infeasibility_proof
from dtkd_opt.pricing.response import respond
from dtkd_opt.problem.options import Options
from dtkd_opt.records.arrays import Array, Index

_MAX_PARTS = 2000
_MAX_STEPS = 60  # of prices for each part: where they prove it, they do so early


class _ProvenInfeasible(Exception):
    """Prices prove a part infeasible."""


def find_plan(search: Search, prices: Array) -> None:
    """Find any plan where none was met, or prove that there is none.

    InfeasibleError where prices prove it; NoPlanError where neither a plan nor a proof was found.
    """
    if prove_infeasible(search, prices):
        raise InfeasibleError(_why_infeasible(search))
    if search.incumbent is None:
        raise NoPlanError(
            f"{search.instance.name}: found no choice that keeps all limits (deadline_s, "
            "energy_j), but there is no proof that none exists"
        )


def prove_infeasible(search: Search, prices: Array) -> bool:
    """Whether prices, searched from positive ones (3, S) on, prove that no choice keeps the limits.

    False if a plan turned up, which the search keeps, or if the proof would take too many parts.
    """
    search.begin_phase("proving that there is no plan")
    parts = [(np.arange(len(search.options)), prices)]
    for _ in range(_MAX_PARTS):
        if not parts:
            return True
        search.check_time()
        rows, start = parts.pop()
        part = search.options.select_rows(rows)
        if (point := _price_part(part, start, search.ends_at)) is None:
            continue
        if search.try_if_feasible(rows[point.choice]) is not None:
            return False
        if not (split := _split(part, point)):
            return False  # neither a plan nor a proof: rounding
        parts += [(rows[own], point.prices) for own in split]
    return False


def _price_part(part: Options, start: Array, ends_at: float) -> DualPoint | None:
    """None if prices prove that a part has no plan, else its best prices."""

    def visit(point: DualPoint) -> None:
        if find_infeasibility_proof(part, point.prices) is not None:
            raise _ProvenInfeasible

    try:
        return maximise_bound(part, start, max_steps=_MAX_STEPS, ends_at=ends_at, callback=visit)
    except _ProvenInfeasible:
        return None


def _split(part: Options, point: DualPoint) -> list[Index]:
    """The rows of two parts; none where each user has only one option.

    The user with the costliest limits is split: its cheapest option for them, and the others.
    """
    limit_cost = respond(part, point.prices, min_cost=True).cost
    cost = np.minimum.reduceat(limit_cost, part.start[:-1])
    several = np.diff(part.start) > 1
    if not several.any():
        return []
    user = int(np.argmax(np.where(several, cost, -np.inf)))
    own = np.arange(part.start[user], part.start[user + 1])
    cheapest = own[np.argmin(limit_cost[own])]
    others = np.setdiff1d(own, cheapest)
    return [np.setdiff1d(np.arange(len(part)), left_out) for left_out in (cheapest, others)]


def _why_infeasible(search: Search) -> str:
    users = search.instance.users
    constrained = [
        f'"{printable(u.name)}"'
        for u in users
        if u.deadline_s is not None or u.energy_j is not None
    ]
    names = ", ".join(constrained[:8]) + (", …" if len(constrained) > 8 else "")
    return (
        f"{printable(search.instance.name)} has no feasible solution: no combination of models, "
        f"places and servers keeps the limits (deadline_s, energy_j) of all {len(constrained)} "
        f"constrained users ({names}) within the pools; each user by itself could keep its own"
    )

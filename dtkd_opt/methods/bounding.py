"""Price bound and first incumbents, shared by all methods."""

from __future__ import annotations

from collections import deque

import numpy as np

from dtkd_opt.errors import InfeasibleError, printable
from dtkd_opt.methods.exchange import improve
from dtkd_opt.methods.search import Search
from dtkd_opt.pricing.bundle import LARGE, MAX_STEPS, maximise_bound
from dtkd_opt.pricing.equal_shares import equal_share_choice
from dtkd_opt.pricing.lagrangian import DualPoint, find_infeasibility_proof
from dtkd_opt.records.arrays import Array, Index
from dtkd_opt.records.instance import POOLS

_MAX_CHOICES = 64  # choices of the last priced points, to be tried as incumbents


def price_bound(
    search: Search, tolerance: float = 1e-9, *, max_steps: int = MAX_STEPS
) -> DualPoint:
    """Raise the search's bound to the best of the prices, found in at most `max_steps` steps.

    The first point is priced even after the time limit: there is always a bound. InfeasibleError
    where prices prove that no choice keeps the limits.
    """
    search.begin_phase("prices")
    return _maximise(search, tolerance, deque(maxlen=1), prove=True, max_steps=max_steps)


def price_and_round(
    search: Search, tolerance: float = 1e-9, *, start: Array | None = None, prove: bool = True
) -> DualPoint:
    """Raise the bound by prices, try the choices on the way, improve them by exchanges.

    `start` are prices (3, S) to begin with, e.g. a similar instance's. Without `prove` the
    search's bound stays as it is: the caller proves its own.
    """
    if start is None and len(search.options) <= LARGE:
        search.try_if_feasible(equal_share_choice(search.options))  # to keep, however soon it stops
    search.begin_phase("prices")
    choices: deque[Index] = deque(maxlen=_MAX_CHOICES)
    best = _maximise(search, tolerance, choices, prove, start=start)
    search.begin_phase("rounding")
    search.try_if_feasible(best.choice)
    if search.options.constrained:  # the best prices' choice need not keep the limits
        for choice in {choice.tobytes(): choice for choice in reversed(choices)}.values():
            if search.proven or search.remaining_s <= 0:
                break
            search.try_if_feasible(choice)
    if not search.proven:
        improve(search)
    return best


def _maximise(
    search: Search,
    tolerance: float,
    choices: deque[Index],
    prove: bool,
    max_steps: int = MAX_STEPS,
    start: Array | None = None,
) -> DualPoint:
    """The best prices; every point raises the bound and leaves its choice in `choices`."""
    options, checked = search.options, 0.0

    def visit(point: DualPoint) -> None:
        nonlocal checked
        if prove:
            search.raise_bound(point.value / options.n_users)
        choices.append(point.choice)
        if search.dual_point is None or point.value > search.dual_point.value:
            search.dual_point = point
        if options.constrained and point.value > 1.1 * checked:  # the bound of an infeasible
            checked = point.value  # instance has no end: look for the proof while it climbs
            _check_feasible(search, point.prices)

    best = maximise_bound(
        options,
        start,
        tolerance=tolerance,
        max_steps=max_steps,
        ends_at=search.ends_at,
        callback=visit,
        on_failure=lambda words: search.begin_phase(f"prices by demand ({words})"),
    )
    if options.constrained:
        _check_feasible(search, best.prices)
    return best


def _check_feasible(search: Search, prices: Array) -> None:
    """Raise InfeasibleError if these prices prove that no choice keeps the limits."""
    if (proof := find_infeasibility_proof(search.options, prices)) is None:
        return
    instance = search.instance
    p, s = np.unravel_index(int(np.argmax(proof.value)), proof.value.shape)
    largest = np.argsort(-proof.cost)[:8]
    users = (instance.users[n].name for n in largest if proof.cost[n] > 0)
    names = ", ".join(f'"{printable(name)}"' for name in users)
    server = printable(instance.servers[s].name)
    raise InfeasibleError(
        f"{printable(instance.name)} has no feasible solution: whatever its users choose, keeping "
        f"all limits (deadline_s, energy_j) takes at least {proof.cost.sum():.4g} times the "
        f'servers\' pools at the prices that prove it; the {POOLS[p]} of server "{server}" is '
        f"scarcest; the largest demands are those of {names}"
    )

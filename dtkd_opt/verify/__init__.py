"""Check a certificate with independent, rigorous arithmetic. Nothing of the solver is used.

Of a certificate with objective U, bound L and gap G it is proven that

1. the incumbent is feasible and costs J ≤ U;
2. every plan costs J ≥ L: the leaves of the tree together cover all plans (tree.py), and
   at each leaf, with its prices λ ≥ 0 of the pools C (weak duality),

       N J ≥ Σ_n min over allowed options k of c_k(λ) - λ · C ≥ N L_leaf ≥ N L,
       c_k(λ) = min over shares x of T_k(x) + ρ (1 - a_k) + λ · x within the option's own limits;

3. U - L ≤ G |U|, and L ≤ U.

Costs c_k and the plan's figures are computed in 128-bit ball arithmetic (balls.py), or
above 10,000 users in outward-rounded doubles (arrays.py), and rounded to a safe double.
Everything after that is exact rational arithmetic. A comparison counts only when it is certain.

**Tolerance.** A plan counts as feasible where it keeps its limits (pools, deadline, energy, CPU,
accuracy floor) to a relative 1e-9, as in `check`. The bound is for the exact limits: a plan that
uses the tolerance may cost a little less than L.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.certificate import Certificate, Incumbent, Leaf
from dtkd_opt.instance import DEVICE, PLACES, POOLS, Instance
from dtkd_opt.verify.rows import Array, Figures, Rows, Users, capacity_of, users_of
from dtkd_opt.verify.tree import Exact, edges_of, leaf_sums, tree_faults

TOLERANCE = 1e-9
BALLS_UP_TO = 10_000  # users
_CHUNK = 10_000  # users priced at a time


class Arithmetic(Protocol):
    """What is computed with rounding: costs never too high, figures to the plan's disfavour."""

    def option_costs(self, prices: Array, span: slice) -> Array:
        """(n, M, 2, S) c_k(λ) [s] of some users' options; inf where certainly impossible."""

    def figures(self, rows: Rows, shares: Array) -> Figures:
        """Cost, delay, energy and accuracy of every row at its (3, K) shares."""


def verify(
    instance: Instance,
    certificate: Certificate,
    *,
    arithmetic: Literal["balls", "arrays"] | None = None,
) -> list[str]:
    """Everything that a certificate claims and does not prove; empty if all of it is proven.

    Parameters
    ----------
    instance, certificate
        The problem, and the claim about it.
    arithmetic
        "balls" (Arb, needs python-flint) or "arrays"; by default balls up to 10,000 users.

    Raises
    ------
    InputError
        When balls are asked for and python-flint is not installed.
    """
    faults = [*_identity_faults(instance, certificate)] or [
        *tree_faults(instance, certificate),
        *_price_faults(instance, certificate),
        *_name_faults(instance, certificate),
    ]
    if faults:
        return faults
    users = users_of(instance)
    arithmetic = arithmetic or arithmetic_for(instance)
    chosen = _arithmetic(instance, users, arithmetic)
    return [
        *_claim_faults(certificate),
        *_plan_faults(instance, users, certificate, chosen),
        *_leaf_faults(instance, certificate, chosen),
    ]


def arithmetic_for(instance: Instance) -> Literal["balls", "arrays"]:
    """What `verify` uses by default."""
    return "balls" if len(instance.users) <= BALLS_UP_TO else "arrays"


def _arithmetic(instance: Instance, users: Users, name: str) -> Arithmetic:
    if name == "arrays":
        from dtkd_opt.verify.arrays import Arrays

        return Arrays(instance, users)
    from dtkd_opt.verify.balls import Balls

    return Balls(instance, users)


# --- the form of the claim ---


def _identity_faults(instance: Instance, certificate: Certificate) -> Iterator[str]:
    if certificate.instance != instance.name:
        yield f'instance: must be "{instance.name}", got "{certificate.instance}"'
    if not instance.has_hash(certificate.instance_sha256):
        yield "instance_sha256: is of another file; certify this instance again"
    for key in ("objective", "bound", "gap"):
        if not math.isfinite(getattr(certificate, key)):
            yield f"{key}: must be a finite number, got {getattr(certificate, key)}"


def _price_faults(instance: Instance, certificate: Certificate) -> Iterator[str]:
    prices, size = np.asarray(certificate.prices, float), (3, len(instance.servers))
    if prices.shape[1:] != size:
        yield f"prices: each set must have 3 pools of {size[1]} servers, got {prices.shape[1:]}"
    elif not (np.isfinite(prices) & (prices >= 0)).all():
        yield "prices: must be finite and at least 0"


def _claim_faults(certificate: Certificate) -> Iterator[str]:
    """L ≤ every leaf's bound, L ≤ U and U - L ≤ G |U|, as exact rational numbers."""
    upper, lower = Fraction(certificate.objective), Fraction(certificate.bound)
    for v, node in enumerate(certificate.tree):
        if isinstance(node, Leaf) and node.bound < certificate.bound:
            yield f"bound: {certificate.bound} is above that of tree[{v}], {node.bound}"
    if lower > upper:
        yield f"bound: {certificate.bound} must not be above the objective {certificate.objective}"
    if upper - lower > Fraction(certificate.gap) * abs(upper):
        true = _shown((upper - lower) / (abs(upper) or 1))
        yield f"gap: objective and bound prove only {true:.6e}, the file claims {certificate.gap}"


# --- the incumbent ---


def _name_faults(instance: Instance, certificate: Certificate) -> Iterator[str]:
    plan, users = certificate.incumbent, instance.users
    if not all(len(column) == len(users) for column in vars(plan).values()):
        yield f"incumbent: must be {len(users)} rows, one per user, got {len(plan)}"
        return
    known: dict[str, set[str]] = {
        "model": {model.name for model in instance.models},
        "place": {*PLACES},
        "server": {server.name for server in instance.servers},
    }
    for n, (own, name) in enumerate(zip(users.name, plan.name, strict=True)):
        if name != own:
            yield f'incumbent[{n}].name: must be "{own}", in the instance\'s order'
    for key, names in known.items():
        for n, name in enumerate(getattr(plan, key)):
            if name not in names:
                yield f'incumbent[{n}].{key}: the instance has no {key} "{name}"'


def _rows_of(instance: Instance, plan: Incumbent) -> Rows:
    models = {model.name: m for m, model in enumerate(instance.models)}
    servers = {server.name: s for s, server in enumerate(instance.servers)}
    return Rows(
        user=np.arange(len(instance.users)),
        model=np.array([models[name] for name in plan.model]),
        place=np.array([PLACES.index(place) for place in plan.place]),
        server=np.array([servers[name] for name in plan.server]),
    )


def _plan_faults(
    instance: Instance, users: Users, certificate: Certificate, arithmetic: Arithmetic
) -> Iterator[str]:
    """The plan keeps every limit to a relative 1e-9, and J ≤ U."""
    plan = certificate.incumbent
    rows = _rows_of(instance, plan)
    shares = np.array([plan.uplink_hz, plan.downlink_hz, plan.cpu_hz], float)
    broken = np.isnan(users.gain[rows.user, rows.server])
    yield from _each(broken, "cannot reach its server")
    odd = ~(np.isfinite(shares) & (shares >= 0)).all(axis=0)
    yield from _each(odd, "has a share that is negative or not finite")
    if broken.any() or odd.any():
        return
    figures = arithmetic.figures(rows, shares)
    late = ~(figures.delay_s <= users.deadline_s * (1 + TOLERANCE))
    hot = ~(figures.energy_j <= users.energy_j * (1 + TOLERANCE))
    wrong = ~(figures.accuracy >= users.min_accuracy - TOLERANCE)
    fast = (rows.place == DEVICE) & (shares[2] > users.cpu_hz * (1 + TOLERANCE))
    yield from _each(late, "takes longer than its deadline_s")
    yield from _each(hot, "takes more than its energy_j")
    yield from _each(wrong, "is less accurate than its min_accuracy")
    yield from _each(fast, "runs its CPU above its cpu_hz")
    yield from _pool_faults(instance, rows, shares)
    count = len(instance.users)
    if not np.isfinite(figures.cost_s).all():
        yield from _each(~np.isfinite(figures.cost_s), "has no share of a pool that it needs")
    elif (cost := _sum(figures.cost_s, math.inf)) > count * Fraction(certificate.objective):
        true = _shown(cost / count)
        yield f"objective: the plan costs {true:.17g}, the file claims {certificate.objective}"


def _each(faulty: NDArray[np.bool_], what: str) -> Iterator[str]:
    for n in np.flatnonzero(faulty):
        yield f"incumbent[{n}]: {what}"


def _pool_faults(instance: Instance, rows: Rows, shares: Array) -> Iterator[str]:
    """The shares of each pool sum to at most the pool."""
    used = shares.copy()
    used[2, rows.place == DEVICE] = 0.0
    for (p, s), pool in np.ndenumerate(capacity_of(instance)):
        total = _sum(used[p, rows.server == s], math.inf)
        if total > Fraction(float(pool) * (1 + TOLERANCE)):
            yield (
                f"incumbent: overdraws the {POOLS[p]} pool of servers[{s}], {pool:g}, "
                f"with shares of {_shown(total):.12g}"
            )


def _sum(values: Array, towards: float) -> Exact:
    """A sum, rounded up or down: `fsum` is the exact sum rounded to nearest."""
    try:
        total = math.fsum(values)
    except (OverflowError, ValueError):  # beyond all doubles, or infinities of both signs
        return towards
    return Fraction(math.nextafter(total, towards)) if math.isfinite(total) else total


def _shown(value: Exact) -> float:
    """About a number, for a message."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


# --- the bound ---


def _leaf_faults(
    instance: Instance, certificate: Certificate, arithmetic: Arithmetic
) -> Iterator[str]:
    """Every leaf's prices prove its bound: N L_leaf ≤ Σ_n min_k c_k(λ) - λ · C, exactly."""
    count, pools = len(instance.users), capacity_of(instance)
    edges = edges_of(certificate.tree, (len(instance.models), 2, len(instance.servers)))
    split = {edge.user for edge in edges.values()}
    leaves: dict[int, list[int]] = {}  # of each price set
    for v, node in enumerate(certificate.tree):
        if isinstance(node, Leaf):
            leaves.setdefault(node.prices, []).append(v)
    for i, mine in sorted(leaves.items()):
        prices = np.asarray(certificate.prices[i], float)
        total, costs = _price(arithmetic, prices, count, split)
        worth = sum(Fraction(a) * Fraction(b) for a, b in zip(prices.flat, pools.flat, strict=True))
        values = leaf_sums(edges, mine, total - worth, costs)
        for v in mine:
            node = certificate.tree[v]
            assert isinstance(node, Leaf)
            if not values[v] >= count * Fraction(node.bound):
                proven = _shown(values[v] / count)
                yield f"tree[{v}]: prices prove only {proven:.17g}, the file claims {node.bound}"


def _price(
    arithmetic: Arithmetic, prices: Array, count: int, split: set[int]
) -> tuple[Exact, dict[int, list[float]]]:
    """Σ_n min_k c_k(λ) over all options, rounded down, and all c_k of the users in the tree."""
    total: Exact = Fraction(0)
    costs: dict[int, list[float]] = {}
    for start in range(0, count, _CHUNK):
        span = slice(start, min(start + _CHUNK, count))
        chunk = arithmetic.option_costs(prices, span).reshape(span.stop - start, -1)
        chunk = np.where(np.isnan(chunk), -math.inf, chunk)  # what is not known proves nothing
        total = total + _sum(chunk.min(axis=1), -math.inf)
        costs |= {n: chunk[n - start].tolist() for n in split if start <= n < span.stop}
    return total, costs

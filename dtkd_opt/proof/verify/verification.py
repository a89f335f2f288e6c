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

**Tolerance.** A plan counts as feasible where it keeps its limits (pools, deadline, energy, CPU) to
a relative 1e-9 and its accuracy floor to 1e-9, as in `check`. The bound is for the exact limits: a
plan that uses the tolerance may cost less than L; a little less, unless it has an option only by
it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from dtkd_opt.proof.verify.arithmetic import Arithmetic, Name, make_arithmetic
from dtkd_opt.proof.verify.tree import leaf_sums, parents_of, tree_faults
from dtkd_opt.records.arrays import Array
from dtkd_opt.records.certificate import Certificate, LeafNode, as_certificate
from dtkd_opt.records.instance import DEVICE, PLACES, POOLS, Instance, as_instance

TOLERANCE = 1e-9
_MAX_TERM = 1e290  # of what is summed, so that no sum overflows


def verify(
    instance: Instance, certificate: Certificate, *, arithmetic: Name | None = None
) -> list[str]:
    """Everything that a certificate claims and does not prove; empty if all of it is proven.

    Parameters
    ----------
    instance, certificate
        The problem, and what is stated of it.
    arithmetic
        "balls" (Arb, needs python-flint) or "arrays"; by default balls up to 10,000 users.

    Returns
    -------
    list of str
        A line for each claim without proof.

    Raises
    ------
    InputError
        When balls are chosen and python-flint is not installed, or there is no such arithmetic.
    """
    chosen = make_arithmetic(instance, arithmetic)
    faults = [*_head_faults(as_instance(instance), as_certificate(certificate))] or [
        *tree_faults(instance, certificate),
        *_name_faults(instance, certificate),
    ]
    if faults:
        return faults
    return [
        *_gap_faults(certificate),
        *_plan_faults(instance, certificate, chosen),
        *_leaf_faults(instance, certificate, chosen),
    ]


# --- the form ---


def _head_faults(instance: Instance, proof: Certificate) -> Iterator[str]:
    if proof.instance != instance.name:
        yield f'instance: must be "{instance.name}", got "{proof.instance}"'
    if not instance.has_hash(proof.instance_sha256):
        yield "instance_sha256: is of another file; certify this instance again"
    for key in ("objective", "bound", "gap"):
        if not math.isfinite(getattr(proof, key)):
            yield f"{key}: must be a finite number, got {getattr(proof, key)}"
    if (got := proof.prices.shape[1:]) != (size := _pools_of(instance).shape):
        yield f"prices: each set must have 3 pools of {size[1]} servers, got {got}"
    elif not ((proof.prices >= 0) & (proof.prices < math.inf)).all():
        yield "prices: must be finite and at least 0"


def _name_faults(instance: Instance, proof: Certificate) -> Iterator[str]:
    plan, names = proof.incumbent, instance.users.name
    if not all(len(getattr(plan, key)) == len(names) for key in plan.keys):
        yield f"incumbent: must be {len(names)} rows, one per user, got {len(plan)}"
        return
    for n, (name, own) in enumerate(zip(plan.name, names, strict=True)):
        if name != own:
            yield f'incumbent[{n}].name: must be "{own}", in the instance\'s order'
    for key, numbers in _numbers(instance).items():
        for n, name in enumerate(getattr(plan, key)):
            if name not in numbers:
                yield f'incumbent[{n}].{key}: the instance has no {key} "{name}"'


def _numbers(instance: Instance) -> dict[str, dict[str, int]]:
    """The numbers of models, places and servers by their names."""
    models, servers = ([one.name for one in kind] for kind in (instance.models, instance.servers))
    names = {"model": models, "place": PLACES, "server": servers}
    return {key: {name: i for i, name in enumerate(names[key])} for key in names}


def _pools_of(instance: Instance) -> Array:
    """(3, S) the servers' pools: uplink [Hz], downlink [Hz], CPU [cycles/s]."""
    return np.array([(s.uplink_hz, s.downlink_hz, s.cpu_hz) for s in instance.servers], float).T


def _gap_faults(proof: Certificate) -> Iterator[str]:
    """L ≤ U and U - L ≤ G |U|; comparisons of doubles are exact, as those of fractions."""
    upper, lower = proof.objective, proof.bound
    if lower > upper:
        yield f"bound: {lower} must not be above the objective {upper}"
    if Fraction(upper) - Fraction(lower) > Fraction(proof.gap) * abs(Fraction(upper)):
        gap = (upper - lower) / (abs(upper) or 1.0)
        yield f"gap: objective and bound prove only {gap:.6e}, the file claims {proof.gap}"


# --- the incumbent ---


def _plan_faults(instance: Instance, proof: Certificate, arithmetic: Arithmetic) -> Iterator[str]:
    """The plan keeps every limit to a relative 1e-9, and J ≤ U."""
    plan, users, numbers = proof.incumbent, instance.users, _numbers(instance)
    choice = np.array([[numbers[key][name] for name in getattr(plan, key)] for key in numbers])
    shares = np.array([plan.uplink_hz, plan.downlink_hz, plan.cpu_hz], float)
    (_, place, server), slack = choice, 1 + TOLERANCE
    faults = {
        "cannot reach its server": np.isnan(users.channel_gain[np.arange(len(users)), server]),
        "has a share that is negative or not finite": ~((shares >= 0) & (shares < math.inf)).all(0),
    }
    if not np.any([*faults.values()]):
        cost, delay, energy, accuracy = arithmetic.figures(choice, shares)
        faults = {  # what does not surely hold: NaN is a fault
            "takes longer than its deadline_s": ~(delay <= users.deadline_s * slack),
            "takes more than its energy_j": ~(energy <= users.energy_j * slack),
            "is less accurate than its min_accuracy": ~(accuracy >= users.min_accuracy - TOLERANCE),
            "runs its CPU above its cpu_hz": (place == DEVICE) & (shares[2] > users.cpu_hz * slack),
            "has no share of a pool that it needs": ~(cost < _MAX_TERM),
        }
    for what, faulty in faults.items():
        yield from (f"incumbent[{n}]: {what}" for n in np.flatnonzero(faulty))
    if np.any([*faults.values()]):
        return
    shares[2, place == DEVICE] = 0.0  # of the device's own CPU
    for (p, s), pool in np.ndenumerate(_pools_of(instance)):
        if (used := _sum(shares[p, server == s], math.inf)) > pool * slack:
            what = f"{POOLS[p]} pool of servers[{s}], {pool:g}"
            yield f"incumbent: overdraws the {what}, with shares of {float(used):.12g}"
    if (mean := _sum(cost, math.inf) / len(users)) > proof.objective:
        yield f"objective: the plan costs {float(mean):.17g}, the file claims {proof.objective}"


def _sum(values: Array, towards: float) -> Fraction:
    """A sum rounded up or down, in which no number counts for more than 1e290.

    `fsum` is the exact sum rounded to nearest.
    """
    return Fraction(math.nextafter(math.fsum(np.fmin(values, _MAX_TERM)), towards))


# --- the bound ---


def _leaf_faults(instance: Instance, proof: Certificate, arithmetic: Arithmetic) -> Iterator[str]:
    """Every leaf's prices prove its bound, and no leaf's is below the certificate's."""
    for (v, leaf), proven in proven_bounds(instance, proof, arithmetic):
        if (bound := leaf.bound) < proof.bound:
            yield f"bound: {proof.bound} is above that of tree[{v}], {bound}"
        if not proven >= bound:  # nor is NaN proven
            shown = float(max(proven, Fraction(-_MAX_TERM)))
            yield f"tree[{v}]: prices prove only {shown:.17g}, the file claims {bound}"


def proven_bounds(
    instance: Instance, proof: Certificate, arithmetic: Arithmetic
) -> Iterator[tuple[tuple[int, LeafNode], Fraction]]:
    """Leaves by number, and what prices prove: N L_leaf = Σ_n min_k c_k(λ) - λ · C, exactly."""
    leaves: dict[int, dict[int, LeafNode]] = {}  # of each price set
    for v, node in enumerate(proof.tree):
        if isinstance(node, LeafNode):
            leaves.setdefault(node.prices, {})[v] = node
    pools, parents = _pools_of(instance), parents_of(proof.tree)
    for i, own in sorted(leaves.items()):
        costs = arithmetic.option_costs(prices := proof.prices[i])
        worth = sum(Fraction(a) * Fraction(b) for a, b in zip(prices.flat, pools.flat, strict=True))
        total = _sum(costs.min(axis=(1, 2, 3)), -math.inf) - worth
        sums = leaf_sums(proof.tree, parents, own, total, costs)
        yield from (((v, leaf), sums[v] / len(costs)) for v, leaf in own.items())

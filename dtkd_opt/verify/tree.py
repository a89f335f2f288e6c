"""The tree of a certificate: its leaves cover all plans, and what is left to each user there.

A split of user n by a list of options has two children: in one the user takes an option of the
list, in the other none of it. Together they allow what their parent allows, so that by induction
the leaves of a tree cover what its root does, all plans. Everything is iterative, since chains of
thousands of splits are common, and exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from dtkd_opt.certificate import Certificate, Leaf, Node, Split
from dtkd_opt.instance import PLACES, Instance

Exact = Fraction | float  # a float only for infinities


def tree_faults(instance: Instance, certificate: Certificate) -> Iterator[str]:
    """Indices are valid, and every node but the first is the child of exactly one before it.

    So nothing is cyclic and all nodes are reached from the first.
    """
    tree = certificate.tree
    sizes = (len(instance.models), 0, len(instance.servers))
    parents = [0] * len(tree)
    if not tree:
        yield "tree: must have at least one node"
    for v, node in enumerate(tree):
        if isinstance(node, Leaf):
            if not 0 <= node.prices < len(certificate.prices):
                yield f"tree[{v}].prices: there are {len(certificate.prices)} price sets"
            if not math.isfinite(node.bound):
                yield f"tree[{v}].bound: must be a finite number"
            continue
        if not 0 <= node.user < len(instance.users):
            yield f"tree[{v}].user: there are {len(instance.users)} users, got {node.user}"
        for m, place, s in node.options:
            if not (0 <= m < sizes[0] and place in PLACES and 0 <= s < sizes[2]):
                yield f'tree[{v}].options: the instance has no option [{m}, "{place}", {s}]'
        for child in (node.inside, node.outside):
            if not v < child < len(tree):
                yield f"tree[{v}]: its children must be nodes after it, got {child}"
            else:
                parents[child] += 1
    for v, count in enumerate(parents[1:], start=1):
        if count != 1:
            yield f"tree[{v}]: must be the child of exactly one node, is of {count}"


@dataclass(frozen=True)
class Edge:
    """What leads to a node: of `user`, the options before and after it as bits of a number."""

    parent: int
    user: int
    before: int
    after: int


def edges_of(tree: Sequence[Node], shape: tuple[int, int, int]) -> dict[int, Edge]:
    """The edge to every node but the first, with an iterative walk in depth.

    Option (m, p, s) is bit number ravel(m, p, s) in an array of `shape` (M, 2, S).
    """
    every = (1 << math.prod(shape)) - 1
    edges: dict[int, Edge] = {}
    allowed: dict[int, int] = {}  # by user, along the path to the node at hand
    todo: list[tuple[int | None, int, int]] = [(0, -1, every)]
    while todo:
        v, user, left = todo.pop()
        allowed[user] = left
        if v is None or isinstance(node := tree[v], Leaf):
            continue
        listed, before = _bits(node, shape), allowed.get(node.user, every)
        children = ((node.inside, before & listed), (node.outside, before & ~listed))
        todo.append((None, node.user, before))  # comes up after both children: takes them back
        for child, after in children:
            edges[child] = Edge(v, node.user, before, after)
            todo.append((child, node.user, after))
    return edges


def _bits(node: Split, shape: tuple[int, int, int]) -> int:
    _, places, servers = shape
    numbers = {(m * places + PLACES.index(p)) * servers + s for m, p, s in node.options}
    return sum(1 << k for k in numbers)


def leaf_sums(
    edges: dict[int, Edge], leaves: list[int], total: Exact, costs: dict[int, list[float]]
) -> dict[int, Exact]:
    """Σ_n min_k c_k(λ) - λ · C at some leaves: along an edge only one user's minimum changes."""
    needed: set[int] = {0}
    for v in leaves:
        while v not in needed:
            needed.add(v)
            v = edges[v].parent
    values: dict[int, Exact] = {0: total}
    for v in sorted(needed - {0}):  # a parent's number is less than its children's
        edge = edges[v]
        before, after = (_least(costs[edge.user], bits) for bits in (edge.before, edge.after))
        value = values[edge.parent]
        if isinstance(value, Fraction) and math.isfinite(before) and math.isfinite(after):
            values[v] = value + (Fraction(after) - Fraction(before))
        elif after == math.inf:  # no plan is left
            values[v] = math.inf
        else:  # either no plan was left before, or nothing is known
            values[v] = value
    return values


def _least(costs: list[float], bits: int) -> float:
    return min((cost for k, cost in enumerate(costs) if bits >> k & 1), default=math.inf)

"""The tree of a certificate: its leaves cover all plans, and what is left to each user there.

A split of user n by a list of options has two children: in one the user takes an option of the
list, in the other none of it. Together they allow what their parent allows, so that by induction
the leaves of a tree cover what its root does, all plans. Everything is iterative, since chains of
thousands of splits are common, and exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np

from dtkd_opt.records.arrays import Array, Mask
from dtkd_opt.records.certificate import Certificate, LeafNode, Node, SplitNode
from dtkd_opt.records.instance import PLACES, Instance

# What a user without any option costs. Prices times pools, and claims times users, stay far below,
# so that where no plan is left all bounds hold; and unlike infinity it can be taken off again.
NO_OPTION = Fraction(10) ** 400


def tree_faults(instance: Instance, certificate: Certificate) -> Iterator[str]:
    """Indices are valid, and every node but the first is the child of exactly one before it.

    So nothing is cyclic and all nodes are reached from the first.
    """
    tree, sets, users = certificate.tree, len(certificate.prices), len(instance.users)
    models, servers, parents = len(instance.models), len(instance.servers), [0] * len(tree)
    if not tree:
        yield "tree: must have at least one node"
    for v, node in enumerate(tree):
        if isinstance(node, LeafNode):
            if not 0 <= node.prices < sets:
                yield f"tree[{v}].prices: there are {sets} price sets, got {node.prices}"
            continue
        if not 0 <= node.user < users:
            yield f"tree[{v}].user: there are {users} users, got {node.user}"
        for m, place, s in node.options:
            if not (0 <= m < models and place in PLACES and 0 <= s < servers):
                yield f'tree[{v}].options: the instance has no option [{m}, "{place}", {s}]'
        for child in (node.inside, node.outside):
            if v < child < len(tree):
                parents[child] += 1
            else:
                yield f"tree[{v}]: its children must be nodes after it, got {child}"
    for v, count in enumerate(parents[1:], start=1):
        if count != 1:
            yield f"tree[{v}]: must be the child of exactly one node, is of {count}"


def parents_of(tree: Sequence[Node]) -> dict[int, int]:
    """The parent of every node but the first, by their numbers."""
    splits = [(v, node) for v, node in enumerate(tree) if isinstance(node, SplitNode)]
    return {child: v for v, node in splits for child in (node.inside, node.outside)}


def leaf_sums(
    tree: Sequence[Node],
    parents: Mapping[int, int],
    leaves: Iterable[int],
    total: Fraction,
    costs: Array,
) -> dict[int, Fraction]:
    """Σ_n min_k c_k(λ) - λ · C at some leaves, of the options k left there: exact.

    A walk in depth; along an edge only the minimum of the user that was split changes.

    Parameters
    ----------
    tree, parents, leaves
        A tree without faults, its :func:`parents_of`, and numbers of leaves.
    total
        The sum at the root, where all options are left.
    costs
        (N, M, 2, S) c_k(λ) ≥ 0, inf where an option is impossible.
    """
    needed = {0}
    for v in leaves:
        while v not in needed:
            needed.add(v)
            v = parents[v]
    sums: dict[int, Fraction] = {}
    left: dict[int, Mask] = {}  # by user, on the path to the node at hand
    all_options = np.ones(costs.shape[1:], bool)
    stack = [(0, total, -1, all_options)]
    while stack:
        v, value, user, options = stack.pop()
        sums[v], left[user] = value, options
        if v < 0 or isinstance(node := tree[v], LeafNode):
            continue
        user, before = node.user, left.get(node.user, all_options)
        listed = ~all_options
        for m, place, s in node.options:
            listed[m, PLACES.index(place), s] = True
        stack.append((-1, total, user, before))  # comes up after both children: takes them back
        for child, after in ((node.inside, before & listed), (node.outside, before & ~listed)):
            if child in needed:
                change = min_cost(costs[user][after]) - min_cost(costs[user][before])
                stack.append((child, value + change, user, after))
    return sums


def min_cost(costs: Array) -> Fraction:
    """The minimum of a user's costs."""
    minimum = min(costs.tolist(), default=math.inf)
    return Fraction(minimum) if minimum < math.inf else NO_OPTION

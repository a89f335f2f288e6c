"""Branch and bound on users' options, with nothing but prices in the nodes.

A node keeps some options of each user. Its bound is the best of the prices for these options; the
options whose reduced cost shows that they cannot be in a better plan are dropped. Branching splits
the options of the user that the relaxed choice splits most. What is dropped and where it is split
makes a tree of splits and priced leaves: the proof that `verify` checks.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

from dtkd_opt.methods.exchange import improve
from dtkd_opt.methods.proof_tree import PricedLeaf, ProofTree
from dtkd_opt.methods.search import Search
from dtkd_opt.pricing.allocation import ChoiceInfeasible, allocate
from dtkd_opt.pricing.lagrangian import DualPoint, Lagrangian
from dtkd_opt.pricing.masters import make_bundle
from dtkd_opt.problem.options import Options
from dtkd_opt.records.arrays import Array, Index
from dtkd_opt.records.solution import Termination

_MAX_STEPS = 200  # of a node's prices
_EXCHANGE_EVERY = 50  # one node in so many improves its plan by exchanges
# of what remains to the cutoff: a node's prices stop where they are predicted less
_MIN_PROGRESS = 0.02


@dataclass(order=True)
class _OpenNode:
    value: float
    number: int
    rows: Index = field(compare=False)
    point: DualPoint = field(compare=False)
    fractions: Array = field(compare=False)


class Branching:
    """The state of one proof: open nodes by their bound, and the tree so far."""

    def __init__(self, search: Search, root: DualPoint):
        self.search, self.options = search, search.options
        self.tree = ProofTree()
        self.open: list[_OpenNode] = []
        self.closed = np.inf  # the smallest value of the closed leaves
        self.nodes = 0
        self._current = PricedLeaf(root.prices, root.value)  # of what is unfinished
        self._finished = False

    @property
    def cutoff(self) -> float:
        """N · J from which on a bound proves the gap."""
        return self.search.cutoff * self.options.n_users

    @property
    def bound(self) -> float:
        """The smallest of all leaves and open nodes, a lower bound on J [s]."""
        value = min(self.closed, self.open[0].value if self.open else np.inf)
        if not self._finished:
            value = min(value, self._current.value)
        return float(value) / self.options.n_users

    def run(self, max_nodes: int | None = None) -> Termination:
        """Branch until the gap is proven, or until `max_nodes` are priced in all; by default the
        search's iterations. It may be called again to go on. TimeIsUp at the time limit.
        """
        search = self.search
        limit = max_nodes or search.stop.iterations or 2**62
        search.begin_phase("branching")
        if not self.nodes:
            self._evaluate(0, np.arange(len(self.options)), self._current.prices)
            self._finished = True
        while not search.proven:
            self.search.raise_bound(self.bound)
            if search.proven or search.bound_invalid or not self.open:
                break
            if self.nodes >= limit:
                return "iteration_limit"
            search.check_time()
            node = heapq.heappop(self.open)
            self._current, self._finished = PricedLeaf(node.point.prices, node.value), False
            self._branch(node)
            self._finished = True
        return "gap_reached" if search.proven else "stalled"

    def close(self) -> ProofTree:
        """The proof, with a leaf for every open node, also after an interrupt."""
        for node in self.open:
            self.tree.nodes[node.number] = PricedLeaf(node.point.prices, node.value)
        self.tree.nodes = [self._current if node is None else node for node in self.tree.nodes]
        return self.tree

    def _branch(self, node: _OpenNode) -> None:
        """Drop what reduced costs exclude, then split one user's options in two."""
        number, rows = self._fix_by_reduced_cost(node)
        left = np.bincount(self.options.user[rows], minlength=self.options.n_users)
        if (left <= 1).all():
            self._fathom(number, rows, node.point)
            return
        row = self._branching_option(node.fractions[rows], rows, left)
        user = self.options.user[row]
        first, second = self.tree.split(number, int(user), np.array([row]))
        kept = rows[(self.options.user[rows] != user) | (rows == row)]
        for child, part in ((first, kept), (second, rows[rows != row])):
            self._evaluate(child, part, node.point.prices)

    def _branching_option(self, share: Array, rows: Index, left: Index) -> int:
        """The option to branch on: the one whose share is nearest to one half."""
        several = left[self.options.user[rows]] > 1
        distance = np.where(several, np.minimum(share, 1 - share), 0.0)
        # where nothing is split, any user with a choice
        return int(rows[np.argmax(distance if distance.max() >= 1e-6 else several)])

    def _fix_by_reduced_cost(self, node: _OpenNode) -> tuple[int, Index]:
        """Options that a better plan could still take, and the node where they are left."""
        number, rows = node.number, node.rows
        value = node.value + node.point.reduced_cost
        out = np.flatnonzero(value >= self.cutoff)
        user = self.options.user[rows]
        for n in np.unique(user[out]):
            own = out[user[out] == n]
            leaf, number = self.tree.split(number, int(n), rows[own])
            self._close(leaf, node.point.prices, float(value[own].min()))
        return number, np.delete(rows, out)

    def _close(self, number: int, prices: Array, value: float) -> None:
        self.tree.nodes[number] = PricedLeaf(prices, value)
        self.closed = min(self.closed, value)

    def _evaluate(self, number: int, rows: Index, prices: Array) -> None:
        """Price a node; close it, or keep it open."""
        self.nodes += 1
        part = self.options.select_rows(rows)
        bundle = make_bundle(Lagrangian(part), prices)
        for _ in range(_MAX_STEPS):
            value = bundle.best.value
            remaining = self.cutoff - value
            tolerance = max(_MIN_PROGRESS * remaining / max(abs(value), 1e-300), 1e-12)
            if remaining <= 0 or not bundle.advance(tolerance if np.isfinite(remaining) else 1e-9):
                break
        bundle.report_failures(
            lambda words: self.search.begin_phase(f"branching, prices by demand ({words})")
        )
        point = bundle.best
        if point.value >= self.cutoff:
            self._close(number, point.prices, point.value)
            return
        self._try(rows[point.choice])
        fractions = np.zeros(len(self.options))
        fractions[rows] = bundle.fractions()
        heapq.heappush(self.open, _OpenNode(point.value, number, rows, point, fractions))

    def _fathom(self, number: int, rows: Index, point: DualPoint) -> None:
        """Close a node with one option a user."""
        self._try(rows)
        best = prove_choice(self.options.select_rows(rows), point.prices)
        self._close(number, best.prices, best.value)

    def _try(self, choice: Index) -> None:
        """Try a node's choice as the incumbent; now and then exchange its users' options too."""
        allocation = self.search.try_if_feasible(choice)
        if allocation is not None and self.nodes % _EXCHANGE_EVERY == 0:
            improve(self.search, (choice, allocation))


def prove_choice(part: Options, prices: Array) -> DualPoint:
    """The bound of options of which each user has one, by its allocation's prices or given ones."""
    try:
        own = allocate(part, np.arange(len(part))).prices
    except ChoiceInfeasible:
        own = prices
    worth = max(float((x * part.capacity).sum()) for x in (own, prices))
    floor = 1e-12 * worth / part.capacity
    lagrangian = Lagrangian(part)
    points = [lagrangian.at(np.maximum(own, floor)), lagrangian.at(prices)]
    return max(points, key=lambda point: point.value)

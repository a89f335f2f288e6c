"""What branching leaves behind: splits of users' options and priced leaves, by number."""

from __future__ import annotations

from dataclasses import dataclass, field

from dtkd_opt.records.arrays import Array, Index


@dataclass(frozen=True, eq=False)
class PricedLeaf:
    """Prices (3, S) that prove N · J ≥ `value` for all plans with the options left here."""

    prices: Array
    value: float


@dataclass(eq=False)
class OptionSplit:
    """User `user` takes one of `options` (rows of the search's options) inside, else outside."""

    user: int
    options: Index
    inside: int
    outside: int


@dataclass(eq=False)
class ProofTree:
    """Splits and leaves by number; 0 is the root. None stands for a node still open."""

    nodes: list[PricedLeaf | OptionSplit | None] = field(default_factory=lambda: [None])

    def split(self, node: int, user: int, options: Index) -> tuple[int, int]:
        """Split a node in two; their numbers."""
        inside = len(self.nodes)
        self.nodes += [None, None]
        self.nodes[node] = OptionSplit(user, options, inside, inside + 1)
        return inside, inside + 1

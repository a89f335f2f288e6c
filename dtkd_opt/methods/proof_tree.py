"""What branching leaves behind: splits of users' options and priced leaves, by number."""

from __future__ import annotations

from dataclasses import dataclass, field

from dtkd_opt.problem.physics import Array, Index


@dataclass(frozen=True, eq=False)
class Leaf:
    """A claim: N · J is at least `value` for all plans with the options left here."""

    prices: Array  # (3, S)
    value: float


@dataclass(eq=False)
class Split:
    """User `user` takes one of `options` (rows of the search's table) inside, else outside."""

    user: int
    options: Index
    inside: int
    outside: int


@dataclass(eq=False)
class Proof:
    """Splits and leaves by number; 0 is the root. None stands for a node still open."""

    nodes: list[Leaf | Split | None] = field(default_factory=lambda: [None])

    def split(self, node: int, user: int, options: Index) -> tuple[int, int]:
        """Split a node in two; their numbers."""
        inside = len(self.nodes)
        self.nodes += [None, None]
        self.nodes[node] = Split(user, options, inside, inside + 1)
        return inside, inside + 1

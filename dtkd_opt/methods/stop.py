"""When a method ends, and how far it is: the stop rule, and one line of progress."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from dtkd_opt.errors import DtkdError
from dtkd_opt.records.arguments import as_number, as_whole


@dataclass(frozen=True)
class Stop:
    """When a method ends: a proven relative gap, seconds, or rounds of its own."""

    gap: float = 1e-6  # proven relative gap
    time_limit: float = math.inf  # since the search began [s]
    iterations: int | None = None  # rounds of the method's own; None: no limit

    def __post_init__(self) -> None:
        """UsageError, in words, where a limit means nothing."""
        gap = as_number(self.gap, "gap must be a number of at least 0", lambda x: x >= 0)
        limit = as_number(self.time_limit, "time_limit must be seconds", lambda x: x == x)
        object.__setattr__(self, "gap", gap)
        object.__setattr__(self, "time_limit", limit)
        if self.iterations is not None:
            words = "iterations must be a whole number of at least 1"
            object.__setattr__(
                self, "iterations", as_whole(self.iterations, words, lambda n: n >= 1)
            )


class TimeIsUp(DtkdError):
    """The time limit ends the method here; what the search holds is its answer."""

    exit_code = 3


@dataclass(frozen=True)
class Progress:
    """How far a method is; `incumbent` is inf and `bound` -inf before there is one.

    ``str(progress)`` is one readable line.
    """

    phase: str  # what the method does now
    bound: float  # lower bound on J [s]
    incumbent: float  # J of the best plan [s]
    elapsed_s: float  # since the search began [s]

    @property
    def gap(self) -> float:
        """(incumbent - bound) / |incumbent|; inf while either is missing."""
        return relative_gap(self.incumbent, self.bound)

    def __str__(self) -> str:
        bound = f"{self.bound:.6f}" if math.isfinite(self.bound) else "-"
        best = f"{self.incumbent:.6f}" if math.isfinite(self.incumbent) else "-"
        gap = f"{self.gap:.1e}" if math.isfinite(self.gap) else "-"
        return f"{self.phase}: bound {bound}, incumbent {best}, gap {gap}, {self.elapsed_s:.1f} s"


Callback = Callable[[Progress], object]


def relative_gap(incumbent: float, bound: float) -> float:
    """(incumbent - bound) / |incumbent|; inf while either is missing."""
    if not math.isfinite(incumbent) or not math.isfinite(bound):
        return math.inf
    return max(incumbent - bound, 0.0) / abs(incumbent) if incumbent else float(bound < 0)


def check_limits(gap: float, time_limit: float | None, iterations: int | None = None) -> Stop:
    """The stop rule of these limits; UsageError, in words, where one means nothing."""
    if time_limit is None:
        return Stop(gap, iterations=iterations)
    words = "time_limit must be seconds greater than 0"
    return Stop(gap, as_number(time_limit, words, lambda x: x > 0), iterations)


def check_seed(seed: int) -> int:
    """A seed of all randomness; UsageError where it is none."""
    words = f"seed must be a whole number from 0 to {2**31 - 1}"
    return as_whole(seed, words, lambda n: 0 <= n < 2**31)

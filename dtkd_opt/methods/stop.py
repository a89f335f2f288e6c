"""When a method ends, and how far it is: the stop rule, and one line of progress."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

from dtkd_opt.errors import DtkdError, UsageError


@dataclass(frozen=True)
class Stop:
    """When a method ends: a proven relative gap, seconds, or rounds of its own."""

    gap: float = 1e-6  # proven relative gap
    time_limit: float = math.inf  # since the search began [s]
    iterations: int | None = None  # rounds of the method's own; None: no limit


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


def check_limits(
    gap: float, time_limit: float | None, iterations: int | None = None, seed: int = 0
) -> None:
    """Raise UsageError, in words, for limits that mean nothing."""
    if not (isinstance(gap, Real) and gap >= 0):
        raise UsageError(f"gap must be a number of at least 0, got {gap!r}")
    if time_limit is not None and not (isinstance(time_limit, Real) and time_limit > 0):
        raise UsageError(f"time_limit must be seconds greater than 0, got {time_limit!r}")
    if iterations is not None and not (isinstance(iterations, Integral) and iterations >= 1):
        raise UsageError(f"iterations must be a whole number of at least 1, got {iterations!r}")
    if not (isinstance(seed, Integral) and 0 <= seed < 2**31):
        raise UsageError(f"seed must be a whole number from 0 to {2**31 - 1}, got {seed!r}")

"""The best prices: cutting planes in a concave master, best steps first.

Two masters, for the same cuts. With w = √(λ C) an option without limits buys what costs a linear
term in w (downlink, CPU) or a concave one that is nearly linear (uplink), so that L(w) + |w|² is
concave and almost a polyhedron: planes for it with |w|² kept exact make a quadratic master that
ends in few steps. Limits spoil that; with them L is cut in v = λ C itself, within a moving box
(Marsten, Hogan and Blankenship, "The Boxstep Method for Large-Scale Optimization", 1975).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from dtkd_opt.pricing.equal_shares import first_prices
from dtkd_opt.pricing.lagrangian import DualPoint, Lagrangian
from dtkd_opt.problem.options import Options
from dtkd_opt.problem.physics import Array, Index
from dtkd_opt.solvers.clarabel import MasterQP
from dtkd_opt.solvers.highs import MasterLP

MAX_STEPS = 600
_BEYOND = 1e12  # times the first prices: no plan is worth that, and solvers lose their way
LARGE = 300_000  # options; beyond it only what is left after screening is priced again and again
_WIDEST = 0.6
_BOX = 0.2  # relative half-width of the prices' box that options are screened for


def maximise_bound(
    options: Options,
    start: Array | None = None,
    *,
    tolerance: float = 1e-9,
    max_steps: int = MAX_STEPS,
    deadline: float = np.inf,
    target: float = np.inf,
    visit: Callable[[DualPoint], None] | None = None,
) -> DualPoint:
    """The best prices found, and with them the best bound.

    Parameters
    ----------
    options
        The option table.
    start
        (3, S) first prices; zeros are lifted to a small positive value. By default those of equal
        shares, and of large tables the best prices of some of their users.
    tolerance
        Stop when the cutting-plane model promises no more than this, relative to |L|.
    max_steps, deadline
        Other ends: steps after the first point, a `time.monotonic()` value. The bound stays valid.
    target
        Stop at a bound L of at least this.
    visit
        Called with every point evaluated: each is a valid bound and suggests a choice.
    """
    if len(options) > LARGE:
        return _maximise_large(options, start, tolerance, max_steps, deadline, target, visit)
    bundle = make_bundle(Lagrangian(options), first_prices(options) if start is None else start)
    for step in range(max_steps + 1):
        if visit is not None:
            visit(bundle.last)
        if step == max_steps or time.monotonic() > deadline or bundle.best.value >= target:
            break
        if not bundle.advance(tolerance):
            break
    return bundle.best


def _maximise_large(
    options: Options,
    start: Array | None,
    tolerance: float,
    max_steps: int,
    deadline: float,
    target: float,
    visit: Callable[[DualPoint], None] | None,
) -> DualPoint:
    """The best prices of a large table, mostly found on a small part of its options.

    Some of the users, with pools in proportion, tell about where the prices are. Within a box
    around them most options can be no user's cheapest and are screened out; what is left is priced,
    and at its best point all options once more. The box moves and grows until it holds that point.
    """
    if start is None:
        thin = options.subsample(-(-len(options) // LARGE))
        start = maximise_bound(thin, tolerance=tolerance, deadline=deadline).prices
    lagrangian = Lagrangian(options)
    width = _BOX
    best: DualPoint | None = None
    while True:
        centre = _positive(options, start)
        low, high = centre * (1 - width), centre * (1 + width)
        few = options.select_rows(lagrangian.screen(low, high))
        bundle = make_bundle(Lagrangian(few), centre)
        for _ in range(max_steps):
            if time.monotonic() > deadline or not bundle.advance(tolerance):
                break
        found = bundle.best.prices
        start = np.clip(found, low, high)  # beyond, options are missing that may be cheaper there
        point = lagrangian.at(start)
        if visit is not None:
            visit(point)
        best = point if best is None or point.value > best.value else best
        inside = np.array_equal(start, found)
        if inside or best.value >= target or time.monotonic() > deadline:
            return best
        width = min(2 * width, _WIDEST)


def _positive(options: Options, prices: Array) -> Array:
    """Prices with those that are zero or next to it lifted a little."""
    values = prices * options.capacity
    lifted: Array = np.maximum(values, 1e-9 * values.sum()) / options.capacity
    return lifted


def make_bundle(lagrangian: Lagrangian, start: Array) -> Bundle:
    """The bundle that suits a table, its first point at prices `start` of shape (3, S)."""
    kind = BoxstepBundle if lagrangian.options.constrained else QuadraticBundle
    return kind(lagrangian, start)


class Bundle(Protocol):
    """Points priced so far, and a master that proposes the next."""

    best: DualPoint
    last: DualPoint

    def advance(self, tolerance: float) -> bool:
        """Price one more point; False when no prices promise more than |L| times this."""

    def fractions(self) -> Array:
        """(K,) the relaxed choice at the master's optimum: its weights on the points' choices."""


def _fractions(options: Options, choices: list[Index], weights: Array) -> Array:
    share = np.zeros(len(options))
    for choice, weight in zip(choices, weights, strict=True):
        if weight > 1e-9:
            share[choice] += weight
    return share


class QuadraticBundle:
    """Planes for L(w) + |w|² at the points so far; w² = λ C in units of its first sum."""

    def __init__(self, lagrangian: Lagrangian, start: Array):
        self.lagrangian = lagrangian
        capacity = lagrangian.options.capacity
        values = (start * capacity).ravel()
        self.unit_s = max(float(values.sum()), 1e-6 * lagrangian.options.n_users)
        self.master = MasterQP(values.size)
        self.choices: list[Index] = []
        self.last = self.best = self._price(np.sqrt(np.maximum(values / self.unit_s, 1e-3)))
        self.base = self.best.value  # keeps the master's numbers small
        self._add_cut()

    def advance(self, tolerance: float) -> bool:
        """Price the master's maximiser; False when no prices promise more."""
        roots, promise = self.master.maximise()
        gain = promise * self.unit_s + self.base - self.best.value
        if gain <= tolerance * max(abs(self.best.value), 1e-300):
            return False
        self.last = self._price(np.maximum(roots, 1e-6))
        self._add_cut()
        if self.last.value > self.best.value:
            self.best = self.last
        return True

    def _price(self, roots: Array) -> DualPoint:
        self.roots = roots
        capacity = self.lagrangian.options.capacity
        values = roots**2 * self.unit_s
        return self.lagrangian.at(values.reshape(capacity.shape) / capacity)

    def _add_cut(self) -> None:
        roots, demand = self.roots, self.last.demand / self.lagrangian.options.capacity
        value = (self.last.value - self.base) / self.unit_s + float(roots @ roots)
        self.master.add_cut(value, 2 * roots * demand.ravel(), roots)
        self.choices.append(self.last.choice)

    def fractions(self) -> Array:
        return _fractions(self.lagrangian.options, self.choices, self.master.weights())


class BoxstepBundle:
    """The cutting planes collected so far and the box in which the next point is sought."""

    def __init__(self, lagrangian: Lagrangian, start: Array):
        self.lagrangian, self.width = lagrangian, 0.5
        options = lagrangian.options
        values = (start * options.capacity).ravel()
        self.total = max(float(values.sum()), 1e-6 * options.n_users)
        self.floor = 1e-9 * self.total
        self.centre = np.maximum(values, 1e-3 * self.total)
        self.scale = np.maximum(self.centre, 1e-2 * self.total)
        self.master = MasterLP(values.size)
        self.choices: list[Index] = []
        self.last = self.best = self._price(self.centre)
        self.base = self.best.value  # keeps the master's numbers small
        self._add_cut(self.centre)

    def advance(self, tolerance: float) -> bool:
        """Price the model's maximiser in the box; False when no prices promise more."""
        while (proposal := self.propose()) is not None:
            point, promise = proposal
            gain = promise - self.best.value
            if gain > tolerance * max(abs(self.best.value), 1e-300):
                self._evaluate(point, gain)
                return True
            if self.interior(point):
                return False
            self.widen(4.0)
            if self.width > 1e4:
                return False
        return False  # where limits cannot be kept, prices rise beyond all measure

    def _evaluate(self, values: Array, gain: float) -> None:
        """Price a point that promises a gain; widen the box around it if it keeps half of it."""
        self.last = self._price(values)
        self._add_cut(values)
        if self.last.value <= self.best.value:
            self.widen(0.5)
            return
        if self.last.value > self.best.value + 0.5 * gain:
            self.widen(2.0)
        self.centre, self.best = values, self.last

    def _price(self, values: Array) -> DualPoint:
        capacity = self.lagrangian.options.capacity
        return self.lagrangian.at(values.reshape(capacity.shape) / capacity)

    def _add_cut(self, values: Array) -> None:
        self.master.add_cut(self.last.value - self.base, self.last.gradient.ravel(), values)
        self.choices.append(self.last.choice)

    def fractions(self) -> Array:
        return _fractions(self.lagrangian.options, self.choices, self.master.weights())

    def propose(self) -> tuple[Array, float] | None:
        """The model's maximiser in the box and its value; None where numbers end."""
        reach = self.width * np.maximum(self.centre, 1e-2 * self.scale)
        self.low = np.maximum(self.centre - reach, self.floor)
        self.high = self.centre + reach
        if self.high.max() > _BEYOND * self.total:
            return None
        values, promise = self.master.maximise(self.low, self.high)
        return np.clip(values, self.low, self.high), promise + self.base

    def interior(self, values: Array) -> bool:
        """Whether no side of the box holds the model's maximiser back."""
        at_low = (values <= self.low * (1 + 1e-12)) & (self.low > self.floor)
        return not (at_low | (values >= self.high * (1 - 1e-12))).any()

    def widen(self, factor: float) -> None:
        self.width = min(self.width * factor, 1e6)

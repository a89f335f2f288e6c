"""Cutting planes of the Lagrangian and the two masters that propose the next prices.

With w = √(λ C) an option without limits buys what costs a linear term in w (downlink, CPU) or a
concave one that is nearly linear (uplink), so that L(w) + |w|² is concave and almost a polyhedron:
planes for it with |w|² kept exact make a quadratic master that ends in few steps. Limits spoil
that; with them L is cut in v = λ C itself, within a moving box (Marsten, Hogan and Blankenship,
"The Boxstep Method for Large-Scale Optimization", 1975).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np

from dtkd_opt.pricing.lagrangian import DualPoint, Lagrangian
from dtkd_opt.records.arrays import Array, Index
from dtkd_opt.solvers.clarabel import MasterQP
from dtkd_opt.solvers.highs import MasterLP

_MAX_PRICE = 1e12  # times the first prices: no plan is worth that, and solvers lose accuracy
_MAX_WIDTH = 1e4  # relative half-width of the box that ends the search
_MAX_FAILURES = 20  # of a master, before its search ends

Master = TypeVar("Master", MasterQP, MasterLP)


class Bundle(ABC, Generic[Master]):
    """The points priced so far, in pool values v = λ C [s], and a master that proposes the next."""

    def __init__(self, lagrangian: Lagrangian, master: Master, first: Array):
        self.lagrangian = lagrangian
        self.master: Master = master
        self.failures: list[str] = []  # of the master, in words
        self.choices: list[Index] = []
        self.last = self.best = self._price(first)
        self.base = self.best.value  # keeps the master's numbers small

    def advance(self, tolerance: float) -> bool:
        """Price one more point; False when none is predicted to gain more than |L| times this.

        Where the master fails, prices move from the best point towards what demand asks: that is
        one more cut, so that the next master is another.
        """
        try:
            return self._advance(tolerance)
        except ArithmeticError as error:
            self.failures.append(str(error))
        if len(self.failures) > _MAX_FAILURES:
            return False
        shorter = 0.5 / len(self.failures)  # else the same point would come again
        factor = np.clip(self.best.gradient + 1, 1 / 16, 16.0) ** shorter
        self._evaluate((self.best.prices * self.lagrangian.options.capacity * factor).ravel())
        return True

    def report_failures(self, callback: Callable[[str], None] | None) -> None:
        """Each way in which the master failed, once and in words."""
        if callback is not None:
            for failure in dict.fromkeys(self.failures):
                callback(failure)

    @abstractmethod
    def _advance(self, tolerance: float) -> bool:
        """As `advance`; ArithmeticError where the master has no optimum."""

    @abstractmethod
    def _evaluate(self, values: Array, gain: float = np.inf) -> None:
        """Price a point of predicted gain, cut there, and keep it if it is the best."""

    def _price(self, values: Array) -> DualPoint:
        capacity = self.lagrangian.options.capacity
        return self.lagrangian.at(values.reshape(capacity.shape) / capacity)

    def fractions(self) -> Array:
        """(K,) the relaxed choice at the master's optimum: its weights on the points' choices."""
        fraction = np.zeros(len(self.lagrangian.options))
        for choice, weight in zip(self.choices, self.master.weights(), strict=True):
            if weight > 1e-9:
                fraction[choice] += weight
        return fraction


class QuadraticBundle(Bundle[MasterQP]):
    """Planes for L(w) + |w|² at the points so far; w² = λ C in units of its first sum."""

    def __init__(self, lagrangian: Lagrangian, start: Array):
        values = (start * lagrangian.options.capacity).ravel()
        self.unit_s = max(float(values.sum()), 1e-6 * lagrangian.options.n_users)
        roots = np.sqrt(np.maximum(values / self.unit_s, 1e-3))
        super().__init__(lagrangian, MasterQP(values.size), roots**2 * self.unit_s)
        self._add_cut(roots)

    def _advance(self, tolerance: float) -> bool:
        roots, predicted = self.master.maximise()
        gain = predicted * self.unit_s + self.base - self.best.value
        if gain <= tolerance * max(abs(self.best.value), 1e-300):
            return False
        self._evaluate(np.maximum(roots, 1e-6) ** 2 * self.unit_s, gain)
        return True

    def _evaluate(self, values: Array, gain: float = np.inf) -> None:
        self.last = self._price(values)
        self._add_cut(np.sqrt(values / self.unit_s))
        if self.last.value > self.best.value:
            self.best = self.last

    def _add_cut(self, roots: Array) -> None:
        demand = self.last.demand / self.lagrangian.options.capacity
        value = (self.last.value - self.base) / self.unit_s + float(roots @ roots)
        self.master.add_cut(value, 2 * roots * demand.ravel(), roots)
        self.choices.append(self.last.choice)


class BoxstepBundle(Bundle[MasterLP]):
    """The cutting planes collected so far and the box in which the next point is sought."""

    def __init__(self, lagrangian: Lagrangian, start: Array):
        values = (start * lagrangian.options.capacity).ravel()
        self.width = 0.5
        self.total = max(float(values.sum()), 1e-6 * lagrangian.options.n_users)
        self.floor = 1e-9 * self.total
        self.centre = np.maximum(values, 1e-3 * self.total)
        self.scale = np.maximum(self.centre, 1e-2 * self.total)
        super().__init__(lagrangian, MasterLP(values.size), self.centre)
        self._add_cut(self.centre)

    def _advance(self, tolerance: float) -> bool:
        while (proposal := self._propose()) is not None:
            values, predicted = proposal
            gain = predicted - self.best.value
            if gain > tolerance * max(abs(self.best.value), 1e-300):
                self._evaluate(values, gain)
                return True
            if self._is_interior(values):
                return False
            self._widen(4.0)
            if self.width > _MAX_WIDTH:
                return False
        return False  # where limits cannot be kept, prices rise without bound

    def _propose(self) -> tuple[Array, float] | None:
        """The model's maximiser in the box and its value; None where prices are too large."""
        radius = self.width * np.maximum(self.centre, 1e-2 * self.scale)
        self.low = np.maximum(self.centre - radius, self.floor)
        self.high = self.centre + radius
        if self.high.max() > _MAX_PRICE * self.total:
            return None
        values, predicted = self.master.maximise(self.low, self.high)
        return np.clip(values, self.low, self.high), predicted + self.base

    def _evaluate(self, values: Array, gain: float = np.inf) -> None:
        """Price a point; widen the box around it if it has half of the predicted gain."""
        self.last = self._price(values)
        self._add_cut(values)
        if self.last.value <= self.best.value:
            self._widen(0.5)
            return
        if self.last.value > self.best.value + 0.5 * gain:
            self._widen(2.0)
        self.centre, self.best = values, self.last

    def _add_cut(self, values: Array) -> None:
        self.master.add_cut(self.last.value - self.base, self.last.gradient.ravel(), values)
        self.choices.append(self.last.choice)

    def _is_interior(self, values: Array) -> bool:
        """Whether no side of the box bounds the model's maximiser."""
        at_low = (values <= self.low * (1 + 1e-12)) & (self.low > self.floor)
        return not (at_low | (values >= self.high * (1 - 1e-12))).any()

    def _widen(self, factor: float) -> None:
        self.width = min(self.width * factor, 1e6)


def make_bundle(lagrangian: Lagrangian, start: Array) -> Bundle[Any]:
    """The bundle that suits the options, its first point at prices `start` of shape (3, S)."""
    kind = BoxstepBundle if lagrangian.options.constrained else QuadraticBundle
    return kind(lagrangian, start)

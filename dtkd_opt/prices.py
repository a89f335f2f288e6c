"""Lagrangian prices of the pools: a lower bound on J for any prices, and the best of them.

Relaxing the 3|S| pools with prices λ ≥ 0 separates the users (DESIGN section 5, fact 3):

    N · J ≥ L(λ) = Σ_n min_k [ T_k + ρ (1 - a_k) + λ · x_k ] - λ · C

L is concave; it is maximised by cutting planes in a moving box (Marsten, Hogan and Blankenship,
"The Boxstep Method for Large-Scale Optimization", 1975). The variables are the pools' values
v = λ · C [s], of the order of the delay spent in each pool.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dtkd_opt.highs import MasterLP
from dtkd_opt.options import OptionTable
from dtkd_opt.physics import Array, Index
from dtkd_opt.response import Response, respond

MAX_STEPS = 600
_BEYOND = 1e12  # times the first prices: no plan is worth that, and solvers lose their way
_ROUNDING = 1e-13  # relative: hundreds of units in the last place


@dataclass(frozen=True, eq=False)
class PricedPoint:
    """The Lagrangian at one set of prices."""

    prices: Array  # (3, S) [s per Hz, s per Hz, s per cycle/s]
    value: float  # L(λ) [s], a lower bound on N · J
    gradient: Array  # (3, S) (demand - C) / C, in the pools' values
    choice: Index  # (N,) each user's cheapest option
    reduced_cost: Array  # (K,) cost above the user's cheapest option [s]
    response: Response


def price(table: OptionTable, prices: Array) -> PricedPoint:
    """Lagrangian value, gradient, choice and reduced costs at positive prices of shape (3, S)."""
    response = respond(table, prices)
    # high prices cancel against the pools' worth: what rounding may add is taken off the bound
    size = response.cost + response.weight * response.delay + table.error_cost_s
    cost = response.cost + table.error_cost_s - _ROUNDING * size
    cheapest = np.minimum.reduceat(cost, table.start[:-1])
    reduced = cost - cheapest[table.user]
    ties = np.flatnonzero(reduced <= 0)
    choice = ties[np.unique(table.user[ties], return_index=True)[1]]
    demand = np.array(
        [
            np.bincount(table.server[choice], pool[choice], minlength=table.n_servers)
            for pool in response.shares
        ]
    )
    worth = float((prices * table.capacity).sum())
    value = float(cheapest.sum()) - worth - _ROUNDING * (abs(float(cheapest.sum())) + worth)
    gradient = (demand - table.capacity) / table.capacity
    return PricedPoint(prices, value, gradient, choice, reduced, response)


@dataclass(frozen=True, eq=False)
class Shortage:
    """Proof that no choice keeps the limits: each user's least cost, with the pools worth one."""

    cost: Array  # (N,) sums to more than 1
    value: Array  # (3, S) worth of each pool, sums to 1


def find_shortage(table: OptionTable, prices: Array) -> Shortage | None:
    """A proof, from any positive prices of shape (3, S), that an instance is infeasible, or None.

    Whatever user n chooses, shares that keep its limits cost at least the least over its options;
    if these sum to more than the pools are worth, no plan exists (weak duality).
    """
    value = prices * table.capacity
    least = respond(table, prices, least=True).cost
    cost = np.minimum.reduceat(least, table.start[:-1])
    if cost.sum() <= value.sum() * (1 + 1e-12):
        return None
    return Shortage(cost / value.sum(), value / value.sum())


def maximise_bound(
    table: OptionTable,
    start: Array,
    *,
    tolerance: float = 1e-9,
    max_steps: int = MAX_STEPS,
    deadline: float = np.inf,
    visit: Callable[[PricedPoint], None] | None = None,
) -> PricedPoint:
    """The best prices found, and with them the best bound.

    Parameters
    ----------
    table
        The option table.
    start
        (3, S) first prices; zeros are lifted to a small positive value.
    tolerance
        Stop when the cutting-plane model promises no more than this, relative to |L|.
    max_steps, deadline
        Other ends: steps after the first point, a `time.monotonic()` value. The bound stays valid.
    visit
        Called with every point evaluated: each is a valid bound and suggests a choice.
    """
    box = _Box(table, start)
    for step in range(max_steps + 1):
        if visit is not None:
            visit(box.last)
        if step == max_steps or time.monotonic() > deadline or not box.advance(tolerance):
            break
    return box.best


class _Box:
    """The cutting planes collected so far and the box in which the next point is sought."""

    def __init__(self, table: OptionTable, start: Array):
        self.table, self.width = table, 0.5
        values = (start * table.capacity).ravel()
        self.total = max(float(values.sum()), 1e-6 * table.n_users)
        self.floor = 1e-9 * self.total
        self.centre = np.maximum(values, 1e-3 * self.total)
        self.scale = np.maximum(self.centre, 1e-2 * self.total)
        self.master = MasterLP(values.size)
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

    def _price(self, values: Array) -> PricedPoint:
        shape = self.table.capacity.shape
        return price(self.table, values.reshape(shape) / self.table.capacity)

    def _add_cut(self, values: Array) -> None:
        self.master.add_cut(self.last.value - self.base, self.last.gradient.ravel(), values)

    def propose(self) -> tuple[Array, float] | None:
        """The model's maximiser in the box and its value; None beyond all measure."""
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

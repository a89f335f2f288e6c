"""One server's users with deadlines and upload limits: the best shares, or why there are none.

The server's subproblem is a concave dual in the three prices, smooth because each user's response
is unique. Newton's method runs on log demand = log capacity in the logarithms of the prices,
nearly linear; deadlines couple the pools through a 3 x 3 Jacobian.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dtkd_opt.pricing.response import Response, respond
from dtkd_opt.problem.options import Options
from dtkd_opt.problem.physics import Array, Index
from dtkd_opt.records.instance import POOLS

_MAX_STEPS = 200
_TOLERANCE = 1e-12
_MAX_ERROR = 5e-10  # where limits can only just be kept: half of what plans may be off


@dataclass(frozen=True, eq=False)
class Conflict:
    """Proof that the users of one server cannot keep their limits within its pools.

    Whatever shares keep user n's limits cost at least `min_cost` at these prices; summed over
    `users` that is more than the pools are worth (`prices @ capacity`).
    """

    server: int
    pool: int  # the pool with the largest part of the price: the scarcest
    users: Index  # a smallest set, by cost, that already asks for too much
    prices: Array  # (3,), normalised so that prices @ capacity = 1
    excess: float  # cost of all over the pools' worth, > 1

    def describe(self, server_name: str, user_names: list[str]) -> str:
        """One line that names the server, the users and the scarcest pool."""
        names = ", ".join(user_names[:8]) + (", …" if len(user_names) > 8 else "")
        return (
            f'server "{server_name}": the limits (deadline_s, energy_j) of {len(user_names)} users '
            f"({names}) ask for {self.excess:.4g} times its pools, of which the "
            f"{POOLS[self.pool]} is scarcest"
        )


def solve_server(options: Options, server: int, rows: Index) -> tuple[Array, Response] | Conflict:
    """Prices of one server's pools and the responses to them, or why there are none."""
    dual = _Dual(options, server)
    point = dual.at(dual.start())
    for step in range(_MAX_STEPS):
        if np.abs(point.error).max(initial=0.0) <= _TOLERANCE:
            break
        if step >= 8 and options.constrained:
            conflict = find_conflict(options, dual.spread(point.prices), server, rows)
            if conflict is not None:
                return conflict
        if (trial := dual.search(point)) is None:
            break
        point = trial
    if (residual := point.residual) > _MAX_ERROR:
        raise ArithmeticError(f"allocation on server {server} stopped {residual:.1e} off its pools")
    return np.where(dual.used, point.prices, 0.0), point.response


@dataclass(frozen=True, eq=False)
class _Point:
    """One server's dual at its pools' prices."""

    prices: Array  # (3,)
    response: Response
    value: float  # Σ cost - λ · capacity, a lower bound on the total delay
    surplus: Array  # λ (demand - capacity) of the used pools: the gradient in log λ
    error: Array  # log(demand / capacity) of the used pools

    @property
    def residual(self) -> float:
        """The worst overrun of a pool, or the part of the delay that idle shares could save."""
        overrun = float(self.error.max(initial=0.0))
        saving = -float(np.minimum(self.surplus, 0.0).sum())
        return max(overrun, saving / float(self.response.delay.sum()))


class _Dual:
    """The concave dual of one server's subproblem in its pools' prices."""

    def __init__(self, options: Options, server: int):
        self.options, self.capacity = options, options.capacity[:, server]
        self.used = options.needs.sum(axis=1) > 0

    def start(self) -> Array:
        """Prices at which closed-form demands fill the pools: (Σ √need / capacity)²."""
        roots = np.sqrt(self.options.needs).sum(axis=1)
        return np.where(self.used, (roots / self.capacity) ** 2, 1.0)

    def spread(self, prices: Array) -> Array:
        return np.tile(prices[:, None], (1, self.options.n_servers))

    def at(self, prices: Array) -> _Point:
        response = respond(self.options, self.spread(prices))
        demand, used = response.shares.sum(axis=1), self.used
        surplus = (prices * (demand - self.capacity))[used]
        error = np.log(demand[used] / self.capacity[used])
        value = float(response.cost.sum() - prices[used] @ self.capacity[used])
        return _Point(prices, response, value, surplus, error)

    def search(self, point: _Point) -> _Point | None:
        """The next point along a Newton direction; None when rounding ends all progress.

        Full steps are taken while they at least halve the error; others must raise the dual or,
        where rounding hides its rise, stop on its rising side.
        """
        trials = (self._along(point, direction) for direction in self._newton(point))
        return next((trial for trial in trials if trial is not None), None)

    def _along(self, point: _Point, direction: Array) -> _Point | None:
        size = min(1.0, 3.0 / np.abs(direction).max())
        rise = float(point.surplus @ direction)
        worst = np.abs(point.error).max()
        noise = 1e-14 * abs(point.value)
        steep = 1e-12 * abs(point.value) * np.abs(direction).max()
        while size > 1e-12:
            prices = point.prices.copy()
            prices[self.used] *= np.exp(size * direction)
            trial = self.at(prices)
            if np.abs(trial.error).max() <= 0.5 * worst:
                return trial
            if trial.value >= point.value + 1e-4 * size * rise and trial.value > point.value:
                return trial
            if abs(trial.value - point.value) <= noise and trial.surplus @ direction > steep:
                return trial
            size /= 2
        return None

    def _newton(self, point: _Point) -> Iterator[Array]:
        """Newton directions in log λ for the used pools: on log demand = log capacity, which is
        the closer to linear, then on demand = capacity. Where all deadlines bind, all prices can
        rise together at no slope, and only the second keeps this direction's step small.

        With e = λ x · elasticity a user's demand changes by e_r (δ_rj - w_j), where w = e / Σ e
        if its deadline binds (the weight then moves with the prices) and w = 0 otherwise.
        """
        response = point.response
        e = (point.prices[:, None] * response.shares * response.elasticity)[self.used]
        total = e.sum(axis=0)
        binding = (response.weight > 1) & (total < 0)
        share = np.where(binding, e / np.where(binding, total, 1.0), 0.0)
        spent = (point.prices[:, None] * response.shares)[self.used].sum(axis=1)
        # limits that hold all of a pool's users leave no slope: a floor keeps the step finite
        slope = np.diag(e.sum(axis=1) - 1e-9 * spent) - e @ share.T
        direction = np.linalg.solve(slope, -spent * point.error)
        if direction @ point.surplus > 0:
            yield direction
        for damping in (0.0, 1e-3, 0.1):
            yield np.linalg.solve(slope - damping * np.diag(spent), -point.surplus)


def find_conflict(options: Options, prices: Array, server: int, rows: Index) -> Conflict | None:
    """A proof, from prices of one server's pools, that its users ask for too much, or None.

    `options` are the chosen options of the server's users, whose numbers in the choice are `rows`;
    `prices` (3, S) are positive, and only the server's column matters.
    """
    capacity = options.capacity[:, server]
    worth = float(prices[:, server] @ capacity)
    cost = respond(options, prices, min_cost=True).cost
    if cost.sum() <= worth * (1 + 1e-12):
        return None
    order = np.argsort(-cost, kind="stable")
    enough = int(np.searchsorted(np.cumsum(cost[order]), worth * (1 + 1e-12), side="right")) + 1
    value = prices[:, server] * capacity / worth
    return Conflict(
        server=server,
        pool=int(np.argmax(value)),
        users=rows[np.sort(order[:enough])],
        prices=prices[:, server] / worth,
        excess=float(cost.sum() / worth),
    )

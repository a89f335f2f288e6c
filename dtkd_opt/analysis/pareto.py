"""The trade-off between accuracy and delay: plans for many weights ρ, each proven.

A proven lower bound L on J = mean delay + ρ (1 - mean accuracy) means that no plan of mean
accuracy a has less mean delay than L - ρ (1 - a). All weights together prove a region empty of
plans; the plans of the sweep lie on its edge but for their gaps. A plan may be Pareto-optimal
without being best for any ρ (unsupported); the sweep does not look for those.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dtkd_opt.errors import InfeasibleError, InputError, UsageError
from dtkd_opt.methods.result import Result
from dtkd_opt.methods.solve import solve
from dtkd_opt.methods.stop import check_limits
from dtkd_opt.records.arguments import as_callback, as_number, as_whole, shown
from dtkd_opt.records.arrays import Array, float_array
from dtkd_opt.records.fields import LARGEST
from dtkd_opt.records.instance import Instance, as_instance
from dtkd_opt.runtime.interrupts import KeepOnCtrlC
from dtkd_opt.runtime.runner import ProgressCallback

if TYPE_CHECKING:
    import pandas as pd

MAX_POINTS = 10**6
SPAN = 10.0  # weights from the instance's divided by this to the instance's times this


@dataclass(frozen=True, eq=False)
class ParetoFront:
    """The plans of a sweep over ρ, by rising ρ, and the front that their bounds prove."""

    instance: Instance  # as it was given
    weights: Array  # (R,) ρ, rising [s]
    results: tuple[Result, ...]  # one a weight
    interrupted: bool = False  # whether Ctrl-C came, even if all weights were done
    reason: str = ""  # why the next weight has no plan, where the sweep ended before it

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a weight; units are in the columns' names, delays are sums over the users."""
        import pandas as pd

        solutions = [result.solution for result in self.results]
        return pd.DataFrame(
            {
                "seconds_per_error": self.weights,
                "mean_accuracy": [s.mean_accuracy for s in solutions],
                "total_delay_s": [s.total_delay_s for s in solutions],
                "objective": [s.incumbent_objective for s in solutions],
                "objective_bound": [s.objective_bound for s in solutions],
                "gap": [s.gap for s in solutions],
                "status": [s.status for s in solutions],
                "at_server": [int((s.users.place == "server").sum()) for s in solutions],
                "runtime_s": [s.runtime_s for s in solutions],
            }
        ).astype({"mean_accuracy": float, "total_delay_s": float, "gap": float})

    def min_delay(self, accuracy: Array | float) -> Array:
        """Total delay [s] below which no plan of a mean accuracy can be: max over ρ of N · L.

        Mean accuracies may have any shape.
        """
        given = float_array(accuracy)
        if given is None:
            raise InputError("accuracy", [f"must be numbers, got {shown(accuracy)}"])
        error = 1 - given
        bounds = np.array([result.bound for result in self.results])
        lines = bounds - self.weights * error[..., None]
        return np.asarray(len(self.instance.users) * np.maximum(lines.max(axis=-1), 0.0))


def pareto(
    instance: Instance,
    *,
    points: int = 25,
    min_weight: float | None = None,
    max_weight: float | None = None,
    gap: float = 1e-6,
    time_limit: float | None = None,
    callback: ProgressCallback | None = None,
) -> ParetoFront:
    """Proven plans for a range of weights ρ, each started from the prices of the one before.

    Parameters
    ----------
    instance
        Its own `seconds_per_error` is the middle of the default range.
    points
        How many weights, at least 2, in equal ratios.
    min_weight, max_weight
        Smallest ρ [s], by default the instance's / 10, and largest, by default the instance's * 10.
    gap, time_limit
        As of :func:`solve`, for each plan.
    callback
        Called with how many plans are done, and how many there are.

    Returns
    -------
    ParetoFront
        After Ctrl-C, of the weights whose plans were proven by then, with `interrupted`. It also
        ends before a weight without a plan, as where `time_limit` was too short, with the `reason`.

    Raises
    ------
    KeyboardInterrupt
        When Ctrl-C came before the first weight was done.
    UsageError
        When a number means nothing, with the limit that it breaks, or a weight of 0 has no range
        around it.
    InfeasibleError
        When there is no plan, with the limits that are broken, as `solve` names them; `time_limit`
        may be too short for one.
    """
    check_limits(gap, time_limit)
    as_callback(callback, "done and total")
    weights = _weights(as_instance(instance), points, min_weight, max_weight)
    results: list[Result] = []
    reason = ""
    try:
        interrupted, reason = _sweep(instance, weights, gap, time_limit, callback, results)
    except KeyboardInterrupt:  # between two plans
        interrupted = True
    if interrupted and not results:
        raise KeyboardInterrupt
    return ParetoFront(instance, weights[: len(results)], tuple(results), interrupted, reason)


def _sweep(
    instance: Instance,
    weights: Array,
    gap: float,
    time_limit: float | None,
    callback: ProgressCallback | None,
    results: list[Result],
) -> tuple[bool, str]:
    """Add a result for each weight to `results`; whether Ctrl-C ended it, and why it ended before.

    Each search starts from the prices of the weight before.
    """
    from dtkd_opt.methods.price import Price  # solvers, only when used

    with KeepOnCtrlC() as ctrl_c:
        for weight in weights:
            if callback is not None:
                callback(len(results), len(weights))
            weighted = instance.replace(seconds_per_error=weight)
            prices = results[-1].prices if results else None
            method = Price(start=prices if prices is not None and (prices > 0).any() else None)
            result = solve(weighted, method, gap=gap, time_limit=time_limit)
            stopped = ctrl_c.pressed or result.solution.termination == "interrupted"
            if result.incumbent is None or (stopped and result.status != "optimal"):
                if not (stopped or results):
                    raise InfeasibleError(result.reason)
                return stopped, "" if stopped else result.reason
            results.append(result)
            if stopped:
                return True, ""
    return False, ""


def _weights(instance: Instance, count: int, low: float | None, high: float | None) -> Array:
    count = as_whole(count, "points must be at least 2", lambda n: 2 <= n <= MAX_POINTS)
    own = instance.seconds_per_error
    if own <= 0 and (low is None or high is None):
        raise UsageError("the instance's seconds_per_error is 0: give min_weight and max_weight")
    low = _within("min_weight", low, own / SPAN)
    high = _within("max_weight", high, own * SPAN)
    if not low < high:
        words = f"must be 0 < min_weight < max_weight, got {low:g} and {high:g}"
        raise UsageError(f"min_weight: {words}")
    return np.asarray(np.geomspace(low, high, count))


def _within(name: str, given: float | None, default: float) -> float:
    """An end of the weights; UsageError naming the limit that it breaks."""
    if given is not None:
        words = f"{name} must be seconds above 0 and below {LARGEST:g}"
        return as_number(given, words, lambda x: 0 < x < LARGEST)
    if not 0 < default < LARGEST:
        words = "from the instance's own seconds_per_error: give another"
        raise UsageError(f"{name} must be above 0 and below {LARGEST:g}, got {default:g}, {words}")
    return default

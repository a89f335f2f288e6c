"""The trade-off between accuracy and delay: plans for many weights ρ, each proven.

A proven bound L on the least J = mean delay + ρ (1 - mean accuracy) says that no plan at all of
mean accuracy a has less mean delay than L - ρ (1 - a). All weights together leave a region in which
no plan can be; the plans of the sweep lie on its edge but for their gaps. Plans between them may be
best of their own accuracy without being best for any ρ: such ones are above the edge, and the sweep
does not look for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dtkd_opt.errors import InfeasibleError, InputError, UsageError
from dtkd_opt.methods.result import Result
from dtkd_opt.methods.solve import solve
from dtkd_opt.methods.stop import check_limits
from dtkd_opt.problem.evaluate import Evaluation
from dtkd_opt.problem.physics import Array
from dtkd_opt.proof.check import check_plan
from dtkd_opt.records.files import write_atomic
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.outputs import check_output, check_writable
from dtkd_opt.records.solution import read_solution
from dtkd_opt.reporting.figures import legend_below, svg
from dtkd_opt.runtime.interrupts import KeepOnCtrlC
from dtkd_opt.runtime.jobs import require

if TYPE_CHECKING:
    import pandas as pd

SPAN = 10.0  # weights from the instance's divided by this to the instance's times this
_DRAWN = 400  # accuracies at which the edge is drawn
_MARKS = ("s", "^", "D", "v", "P", "X", "*", "<", ">", "p")

Follow = Callable[[int, int], None]  # plans that are done, and all


@dataclass(frozen=True, eq=False)
class Front:
    """The plans of a sweep over ρ, by rising ρ, and what their bounds prove together.

    `interrupted`: Ctrl-C came, be it that all weights were done.
    """

    instance: Instance
    weights: Array
    results: tuple[Result, ...]
    interrupted: bool = False

    @cached_property
    def table(self) -> pd.DataFrame:
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

    def least_delay(self, accuracy: Array | float) -> Array:
        """Total delay [s] below which no plan of a mean accuracy can be: max over ρ of N · L.

        Parameters
        ----------
        accuracy
            Mean accuracies, of any shape.
        """
        error = 1 - np.asarray(accuracy, float)
        proven = np.array([result.bound for result in self.results])
        lines = proven - self.weights * error[..., None]
        least: Array = len(self.instance.users) * np.maximum(lines.max(axis=-1), 0.0)
        return least


def pareto(
    instance: Instance,
    *,
    points: int = 25,
    least: float | None = None,
    most: float | None = None,
    gap: float = 1e-6,
    time_limit: float | None = None,
    follow: Follow | None = None,
) -> Front:
    """Plans for weights of error from `least` to `most`, each from the prices of the one before.

    Parameters
    ----------
    instance
        Its own `seconds_per_error` is the middle of the default range.
    points
        How many weights, at least 2, in equal ratios.
    least, most
        Smallest and largest ρ [s]; by default the instance's divided by and times 10.
    gap, time_limit
        As of :func:`solve`, for each plan.
    follow
        Called with how many plans are done, and how many there are.

    Returns
    -------
    Front
        After Ctrl-C, of the weights whose plans were proven by then, with `interrupted`. It also
        ends before a weight for which `time_limit` was too short for any plan.

    Raises
    ------
    KeyboardInterrupt
        When Ctrl-C came before the first weight was done.
    UsageError
        When a number means nothing, or a weight of 0 has no range around it.
    InfeasibleError
        When there is no plan; `time_limit` may be too short for one.
    """
    check_limits(gap, time_limit)
    weights = _weights(instance, points, least, most)
    results: list[Result] = []
    try:
        interrupted = _sweep(instance, weights, gap, time_limit, follow, results)
    except KeyboardInterrupt:  # between two plans
        interrupted = True
    if interrupted and not results:
        raise KeyboardInterrupt
    return Front(instance, weights[: len(results)], tuple(results), interrupted)


def _sweep(
    instance: Instance,
    weights: Array,
    gap: float,
    time_limit: float | None,
    follow: Follow | None,
    results: list[Result],
) -> bool:
    """Add a result for each weight to `results`, and say whether Ctrl-C ended it."""
    with KeepOnCtrlC() as ctrl_c:
        for weight in weights:
            if follow is not None:
                follow(len(results), len(weights))
            weighted = instance.replace(seconds_per_error=weight)
            result = _plan(weighted, results[-1] if results else None, gap, time_limit)
            stopped = ctrl_c.pressed or result.solution.termination == "interrupted"
            if result.incumbent is None or (stopped and result.status != "optimal"):
                if not (stopped or results):
                    raise InfeasibleError(result.reason)
                return stopped
            results.append(result)
            if stopped:
                return True
    return False


def _weights(instance: Instance, points: int, least: float | None, most: float | None) -> Array:
    if points < 2:
        raise UsageError(f"points must be at least 2, got {points}")
    own = instance.seconds_per_error
    if own <= 0 and (least is None or most is None):
        raise UsageError("the instance's seconds_per_error is 0: say the least and the most")
    low = own / SPAN if least is None else least
    high = own * SPAN if most is None else most
    if not 0 < low < high < 1e30:
        raise UsageError(f"weights must be 0 < least < most, got {low:g} and {high:g}")
    weights: Array = np.geomspace(low, high, points)
    return weights


def _plan(
    instance: Instance, before: Result | None, gap: float, time_limit: float | None
) -> Result:
    """A weight's plan, from the prices of the weight before."""
    from dtkd_opt.methods.price import Price  # solvers, only when used

    prices = before.incumbent.prices if before is not None and before.incumbent else None
    start = prices if prices is not None and (prices > 0).any() else None
    return solve(instance, Price(start=start), gap=gap, time_limit=time_limit)


def read_beside(instance: Instance, paths: Iterable[Path]) -> dict[str, Evaluation]:
    """Figures of other plans for the same users, recomputed, by their files' names.

    Raises
    ------
    InputError
        When a file cannot be read, or its plan is none for this instance.
    """
    found = {}
    for path in paths:
        figures, faults = check_plan(instance, read_solution(path))
        if figures is None or faults:
            raise InputError(str(path), faults)
        found[path.name.removesuffix(".json").removesuffix(".solution")] = figures
    return found


def check_front(path: Path, reads: Iterable[Path] = ()) -> None:
    """Raise what :func:`write_front` would, before a sweep that would be lost at its end.

    Also UsageError where one of the files that are read would be overwritten. Tables of users may
    be read too, under names that only `reads` hold: nothing is written to a Parquet file.
    """
    require("matplotlib", "plot", "the figure")
    check_writable(path)
    if path.suffix.lower() == ".parquet":
        raise UsageError(f"{path} is named like a table of users; name it .csv")
    figure = path.with_suffix(".svg")
    check_writable(figure)
    check_output((path, figure), ".csv", reads)


def write_front(
    front: Front, path: Path, beside: Mapping[str, Evaluation] | None = None
) -> tuple[Path, Path]:
    """Write the table (CSV) and the figure (SVG) beside it, each atomically; their paths.

    Raises
    ------
    UsageError
        When both would be one file, or the table is named like one of users.
    InputError
        When matplotlib is missing or a file cannot be written.
    """
    check_front(path)
    figure = path.with_suffix(".svg")
    drawn = svg(draw(front, beside), figure.stem)
    write_atomic(path, front.table.to_csv(index=False, lineterminator="\n").encode())
    write_atomic(figure, drawn)
    return path, figure


def draw(front: Front, beside: Mapping[str, Evaluation] | None = None) -> Any:
    """Accuracy against delay: the sweep's plans, where no plan can be, and other plans.

    Parameters
    ----------
    front
        From :func:`pareto`.
    beside
        Figures of other plans for the same users, by what the legend calls them.

    Returns
    -------
    matplotlib.figure.Figure
    """
    require("matplotlib", "plot", "the figure")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 5.2), layout="constrained")
    axis = figure.subplots()
    others = beside or {}
    accuracy = _range(
        [*front.table.mean_accuracy, *(figures.mean_accuracy for figures in others.values())]
    )
    delay = front.least_delay(accuracy)
    axis.fill_betweenx(
        100 * accuracy, 0, delay, color="0.9", lw=0, label="no plan can be here (proven)"
    )
    axis.plot(
        front.table.total_delay_s, 100 * front.table.mean_accuracy, "o-", ms=4, lw=1,
        color="#0072b2", label="proven plans, one a weight ρ",
    )  # fmt: skip
    for (name, figures), mark in zip(others.items(), cycle(_MARKS)):
        axis.plot(
            figures.total_delay_s, 100 * figures.mean_accuracy, mark, ms=7, mfc="none", mew=1.5,
            label=name,
        )  # fmt: skip
    axis.set(xscale="log", xlabel="total delay (s)", ylabel="mean accuracy (%)")
    axis.set_title(f"{front.instance.name}: accuracy against delay", parse_math=False)
    axis.grid(color="0.85")
    legend_below(figure, [*axis.lines, *axis.collections], 3)
    return figure


def _range(values: Sequence[float]) -> Array:
    """Accuracies from a little below the least of some values to a little above the largest."""
    low, high = min(values), max(values)
    room = max(0.05 * (high - low), 1e-4)
    return np.linspace(max(low - room, 0.0), min(high + room, 1.0), _DRAWN)

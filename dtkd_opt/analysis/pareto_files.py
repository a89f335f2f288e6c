"""The files of a Pareto sweep: its plans as CSV, and the figure of accuracy against delay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dtkd_opt.analysis.pareto import ParetoFront
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.problem.evaluate import Evaluation
from dtkd_opt.proof.check import check_plan
from dtkd_opt.records.arrays import Array
from dtkd_opt.records.files import to_csv, without_ending, write_files
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.outputs import check_output, check_writable
from dtkd_opt.records.solution import read_solution
from dtkd_opt.records.streams import is_stream, source_name
from dtkd_opt.reporting.figures import (
    BLUE,
    EMPTY,
    colour_and_marker,
    legend_below,
    panels,
    svg,
)
from dtkd_opt.runtime.jobs import require

_RESOLUTION = 400  # accuracies at which the edge is drawn


def evaluate_plans(instance: Instance, paths: Iterable[Path]) -> dict[str, Evaluation]:
    """Evaluations of other plans for the same users, by their files' names.

    InputError where a file cannot be read, or its plan is none for this instance.
    """
    evaluations = {}
    for path in paths:
        evaluation, faults = check_plan(instance, read_solution(path))
        if evaluation is None or faults:
            raise InputError(source_name(path), faults)
        name = path.name.removesuffix(".gz").removesuffix(".json").removesuffix(".solution")
        evaluations[name] = evaluation
    return evaluations


def check_front(path: Path, reads: Iterable[Path] = ()) -> None:
    """Raise the errors of :func:`write_front` before the sweep instead of after it.

    Also InputError where one of the files that are read would be overwritten.
    """
    files = _paths(path)
    if len(files) > 1:
        require("matplotlib", "plot", "the figure")
    for file in files:
        check_writable(file)
    check_output(files, ".csv", reads)
    if path.suffix.lower() == ".parquet":  # an instance of any name may be of it
        raise UsageError(f"{path} is named like a table of users; name it .csv")


def write_front(
    front: ParetoFront, path: Path, beside: Mapping[str, Evaluation] | None = None
) -> tuple[Path, ...]:
    """Write the plans (CSV) and the figure (SVG) beside it, atomically; their paths.

    To standard output or a pipe, beside which no file lies, the plans only. Errors as of
    :func:`check_front`.
    """
    check_front(path)
    files = _paths(path)
    contents = {path: to_csv(front.frame)}
    for figure in files[1:]:
        contents[figure] = svg(draw(front, beside), figure.stem)
    write_files(contents)
    return files


def _paths(path: Path) -> tuple[Path, ...]:
    """The plans' file, and the figure's beside it."""
    figure = path.with_name(f"{without_ending(path).name}.svg") if path.name else path
    return (path,) if is_stream(path) else (path, figure)


def draw(front: ParetoFront, beside: Mapping[str, Evaluation] | None = None) -> Any:
    """Accuracy against delay: the sweep's plans, the region proven empty, and other plans.

    Parameters
    ----------
    front
        From :func:`pareto`.
    beside
        Evaluations of other plans for the same users, by their names in the legend.

    Returns
    -------
    matplotlib.figure.Figure
    """
    require("matplotlib", "plot", "the figure")
    figure, ((axis,),) = panels(1, 1, (7.0, 5.2))
    others = beside or {}
    accuracy = _range([*front.frame.mean_accuracy, *(e.mean_accuracy for e in others.values())])
    axis.fill_betweenx(
        100 * accuracy, 0, front.min_delay(accuracy), color=EMPTY, lw=0,
        label="no plan can be here (proven)",
    )  # fmt: skip
    axis.plot(
        front.frame.total_delay_s, 100 * front.frame.mean_accuracy, "o-", ms=4, lw=1,
        color=BLUE, label="proven plans, one a weight ρ",
    )  # fmt: skip
    for number, (name, plan) in enumerate(others.items(), start=1):
        colour, marker = colour_and_marker(number)
        axis.plot(
            plan.total_delay_s, 100 * plan.mean_accuracy, marker, color=colour, ms=7, mfc="none",
            mew=1.5, label=name,
        )  # fmt: skip
    axis.set(xscale="log", xlabel="total delay (s)", ylabel="mean accuracy (%)")
    axis.set_title(f"{front.instance.name}: accuracy against delay", parse_math=False)
    legend_below(figure, 3, [*axis.lines, *axis.collections])
    return figure


def _range(values: Sequence[float]) -> Array:
    """Accuracies from a little below the smallest of some values to a little above the largest."""
    low, high = min(values), max(values)
    room = max(0.05 * (high - low), 1e-4)
    return np.linspace(max(low - room, 0.0), min(high + room, 1.0), _RESOLUTION)

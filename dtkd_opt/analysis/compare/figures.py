"""The figures of a comparison: gap over time, accuracy against delay; a panel an instance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from dtkd_opt.reporting.figures import colour_and_marker, legend_below, panels

if TYPE_CHECKING:
    import pandas as pd

_PANEL = (4.2, 3.2)  # inches
_MIN_TIME_S = 1e-3  # on a logarithmic axis of time


def gap_over_time(histories: pd.DataFrame, runs: pd.DataFrame) -> Any:
    """The certified gap over time: a step line with a marker at its end for each run with a plan.

    Both axes are logarithmic. The dotted line is the target gap; gaps below a hundredth of it, such
    as 0, lie on the lower edge.
    """
    from matplotlib.ticker import EngFormatter

    target = float(runs.gap_target.iloc[0])
    floor = target / 100 or _floor(histories.gap)
    keys = ["instance", "label", "seed"]
    planned = histories.merge(runs.loc[runs.outcome == "plan", [*keys, "runtime_s"]], on=keys)
    figure, axes, styles = _panels(runs)
    for instance, axis in axes:
        part = planned[(planned.instance == instance) & np.isfinite(planned.gap)]
        for (label, _), run in part.groupby(["label", "seed"], sort=False):
            colour, marker = styles[label]
            end = max(run.runtime_s.iloc[0], _MIN_TIME_S)
            gaps = np.maximum(run.gap.to_numpy(), floor)
            times = np.clip(run.elapsed_s.to_numpy(), _MIN_TIME_S, end)
            axis.step(
                [*times, end], [*gaps, gaps[-1]], where="post", color=colour, marker=marker,
                markevery=[len(times)], alpha=0.8, clip_on=False,
            )  # fmt: skip
        axis.axhline(target or floor, color="0.4", linestyle=":", zorder=1)
        axis.set(xscale="log", yscale="log", xlabel="time")
        axis.xaxis.set_major_formatter(EngFormatter("s"))
        axis.set_ylabel("certified relative gap")
        axis.set_ylim(bottom=floor)
    _add_legend(figure, styles, linestyle="-")
    return figure


def _floor(gaps: pd.Series[float]) -> float:
    """A power of ten below all gaps but zero."""
    positive = gaps[(gaps > 0) & np.isfinite(gaps)]
    return float(10.0 ** math.floor(math.log10(positive.min()) - 0.1)) if len(positive) else 1e-9


def accuracy_delay(runs: pd.DataFrame) -> Any:
    """Mean accuracy against total delay of each run's plan."""
    figure, axes, styles = _panels(runs)
    for instance, axis in axes:
        for number, (label, (colour, marker)) in enumerate(styles.items()):
            part = runs[(runs.instance == instance) & (runs.label == label)]
            axis.scatter(  # hollow, and ever smaller: methods may find the same plan
                part.total_delay_s, 100 * part.mean_accuracy, edgecolors=colour, marker=marker,
                facecolors="none", linewidths=1.5, s=25 + 100 * (1 - number / len(styles)),
            )  # fmt: skip
        axis.set(xlabel="total delay (s)", ylabel="mean accuracy (%)")
        axis.ticklabel_format(useOffset=False)
    _add_legend(figure, styles, linestyle="", fillstyle="none")
    return figure


def _panels(runs: pd.DataFrame) -> tuple[Any, Iterator[tuple[str, Any]], dict[str, Any]]:
    """A figure, its panels by instance, and each label's colour and marker."""
    names = list(dict.fromkeys(runs.instance))
    columns = math.ceil(math.sqrt(len(names)))
    rows = math.ceil(len(names) / columns)
    size = (max(columns * _PANEL[0], 5.5), rows * _PANEL[1] + 0.6)
    figure, grid = panels(rows, columns, size)
    axes = grid.flat
    for name, axis in zip(names, axes, strict=False):
        axis.set_title(name, parse_math=False)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    labels = list(dict.fromkeys(runs.label))
    styles = {label: colour_and_marker(number) for number, label in enumerate(labels)}
    return figure, zip(names, axes, strict=False), styles


def _add_legend(figure: Any, styles: dict[str, Any], **line: Any) -> None:
    """One legend with every label."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, label=label, **line)
        for label, (colour, marker) in styles.items()
    ]
    legend_below(figure, max(1, int(figure.get_figwidth() // 1.3)), handles)

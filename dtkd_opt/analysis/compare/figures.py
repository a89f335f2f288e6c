"""The figures of a comparison: gap over time, accuracy against delay; a panel an instance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from dtkd_opt.reporting.figures import legend_below

if TYPE_CHECKING:
    import pandas as pd

# colours that the colour-blind tell apart (Okabe and Ito); methods beyond them get other marks
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_PANEL = (4.2, 3.2)  # inches
_SOONEST_S = 1e-3  # on a logarithmic axis of time


def gap_over_time(histories: pd.DataFrame, runs: pd.DataFrame) -> Any:
    """The certified gap over time: a step line and a mark at its end for each run that holds.

    Both axes are logarithmic. The dotted line is the gap that was asked for; gaps below a hundredth
    of it, such as 0, lie on the lower edge.
    """
    asked = float(runs.gap_asked.iloc[0])
    floor = asked / 100 or _floor(histories.gap)
    keys = ["instance", "label", "seed"]
    holding = histories.merge(runs.loc[runs.outcome == "plan", [*keys, "runtime_s"]], on=keys)
    figure, panels, styles = _panels(runs)
    for instance, axis in panels:
        mine = holding[(holding.instance == instance) & np.isfinite(holding.gap)]
        for (label, _), run in mine.groupby(["label", "seed"], sort=False):
            colour, mark = styles[label]
            end = max(run.runtime_s.iloc[0], _SOONEST_S)
            gaps = np.maximum(run.gap.to_numpy(), floor)
            times = np.clip(run.elapsed_s.to_numpy(), _SOONEST_S, end)
            axis.step(
                [*times, end], [*gaps, gaps[-1]], where="post", color=colour, marker=mark,
                markevery=[len(times)], alpha=0.8, clip_on=False,
            )  # fmt: skip
        axis.axhline(asked or floor, color="0.4", linestyle=":", zorder=1)
        axis.set(xscale="log", yscale="log", xlabel="time (s)")
        axis.set_ylabel("certified relative gap")
        axis.set_ylim(bottom=floor)
    _finish(figure, styles, linestyle="-")
    return figure


def _floor(gaps: pd.Series[float]) -> float:
    """A power of ten below all gaps but zero."""
    positive = gaps[(gaps > 0) & np.isfinite(gaps)]
    return float(10.0 ** math.floor(math.log10(positive.min()) - 0.1)) if len(positive) else 1e-9


def accuracy_delay(runs: pd.DataFrame) -> Any:
    """Mean accuracy against total delay of each run's plan."""
    figure, panels, styles = _panels(runs)
    for instance, axis in panels:
        for number, (label, (colour, mark)) in enumerate(styles.items()):
            mine = runs[(runs.instance == instance) & (runs.label == label)]
            axis.scatter(  # hollow, and ever smaller: methods may find the same plan
                mine.total_delay_s, 100 * mine.mean_accuracy, edgecolors=colour, marker=mark,
                facecolors="none", linewidths=1.5, s=25 + 100 * (1 - number / len(styles)),
            )  # fmt: skip
        axis.set(xlabel="total delay (s)", ylabel="mean accuracy (%)")
        axis.ticklabel_format(useOffset=False)
    _finish(figure, styles, linestyle="", fillstyle="none")
    return figure


def _panels(runs: pd.DataFrame) -> tuple[Any, Iterator[tuple[str, Any]], dict[str, Any]]:
    """A figure, its panels by instance, and each label's colour and mark."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(runs.instance))
    columns = math.ceil(math.sqrt(len(names)))
    rows = math.ceil(len(names) / columns)
    size = (max(columns * _PANEL[0], 5.5), rows * _PANEL[1] + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for name, axis in zip(names, axes, strict=False):
        axis.set_title(name, parse_math=False)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    labels = list(dict.fromkeys(runs.label))
    styles = {label: style(number) for number, label in enumerate(labels)}
    return figure, zip(names, axes, strict=False), styles


def style(number: int) -> tuple[str, str]:
    """Colour and mark of a figure's so-manieth method."""
    turn = number // len(_COLOURS)
    return _COLOURS[number % len(_COLOURS)], _MARKS[(number + turn) % len(_MARKS)]


def _finish(figure: Any, styles: dict[str, Any], **line: Any) -> None:
    """Grids, and one legend with every label."""
    from matplotlib.lines import Line2D

    for axis in figure.axes:
        axis.grid(color="0.9")
        axis.set_axisbelow(True)
    handles = [
        Line2D([], [], color=colour, marker=mark, label=label, **line)
        for label, (colour, mark) in styles.items()
    ]
    columns = max(1, int(figure.get_figwidth() // 1.3))
    legend_below(figure, handles, columns)

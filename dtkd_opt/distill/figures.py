"""The figure of a calibration: accuracy against samples, a panel a student."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtkd_opt.records.calibration import AccuracyCurve, Calibration, PowerLaw

# colours that the colour-blind tell apart (Okabe and Ito), and marks for those who print in grey
_STYLES = {
    "hard": ("#d55e00", "s", "hard labels"),
    "device": ("#009e73", "^", "distilled on the device"),
    "server": ("#0072b2", "o", "distilled at the server"),
}
_SIDE_BY_SIDE = 0.03  # of the samples' logarithm, so that intervals do not hide each other
_PANEL = (3.6, 2.9)  # inches


def accuracy_figure(table: Calibration) -> Any:
    """Mean test accuracy with its 95 % interval, and the fitted power law as a line."""
    from matplotlib.figure import Figure

    students = list(dict.fromkeys(curve.student for curve in table.curves))
    columns = min(3, len(students))
    rows = math.ceil(len(students) / columns)
    size = (max(columns * _PANEL[0], 6.5), rows * _PANEL[1] + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    panels = dict(zip(students, axes.flat, strict=False))
    for axis in axes.flat[len(students) :]:
        axis.set_axis_off()
    for curve in table.curves:
        _draw(curve, panels[curve.student])
    for student, axis in panels.items():
        axis.set(title=student, xscale="log")
        axis.grid(color="0.9")
        axis.set_axisbelow(True)
    _name_axes(figure, table)
    return figure


def _draw(curve: AccuracyCurve, axis: Any) -> None:
    colour, mark, _ = _STYLES[curve.labels]
    shift = _SIDE_BY_SIDE * (list(_STYLES).index(curve.labels) - 1)
    samples = np.array([cell.samples for cell in curve.cells], float)
    ends = [(cell.lower95, cell.upper95) for cell in curve.cells]
    means = np.array([cell.mean for cell in curve.cells])
    known = np.array(
        [[m if e is None else e for e in pair] for m, pair in zip(means, ends, strict=True)]
    )
    axis.errorbar(
        samples * (1 + shift), 100 * means, yerr=100 * np.abs(known - means[:, None]).T,
        fmt=mark, color=colour, markersize=4, capsize=2, linewidth=1,
    )  # fmt: skip
    if curve.fit is not None:
        grid = np.geomspace(samples[0], samples[-1], 50)
        axis.plot(grid, 100 * _values(curve.fit, grid), color=colour, linewidth=1, alpha=0.7)


def _values(fit: PowerLaw, samples: Any) -> Any:
    return fit.a - fit.b * samples**-fit.c


def _name_axes(figure: Any, table: Calibration) -> None:
    """Words on the outside, and one legend."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import NullLocator

    sizes = sorted({cell.samples for curve in table.curves for cell in curve.cells})
    for axis in figure.axes:
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.xaxis.set_minor_locator(NullLocator())
    figure.supxlabel("private samples")
    figure.supylabel("test accuracy (%)")
    handles = [
        Line2D([], [], color=colour, marker=mark, markersize=4, linewidth=1, label=text)
        for colour, mark, text in _STYLES.values()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)

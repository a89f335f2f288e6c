"""The figure of a calibration: accuracy against samples, a panel a student."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtkd_opt.records.calibration import AccuracyCurve, Calibration
from dtkd_opt.reporting.figures import BLUE, GREEN, VERMILION, legend_below, panels

_STYLES = {
    "hard": (VERMILION, "s", "hard labels"),
    "device": (GREEN, "^", "distilled on the device"),
    "server": (BLUE, "o", "distilled at the server"),
}
_SHIFT = 0.03  # relative, so that intervals do not hide each other
_PANEL = (3.6, 2.9)  # inches


def accuracy_figure(calibration: Calibration) -> Any:
    """Mean test accuracy with its 95 % interval, and the fitted power law as a line."""
    students = list(dict.fromkeys(curve.student for curve in calibration.curves))
    columns = min(3, len(students))
    rows = math.ceil(len(students) / columns)
    size = (max(columns * _PANEL[0], 6.5), rows * _PANEL[1] + 0.8)
    figure, axes = panels(rows, columns, size, sharex=True, sharey=True)
    by_student = dict(zip(students, axes.flat, strict=False))
    for axis in axes.flat[len(students) :]:
        axis.set_axis_off()
    for curve in calibration.curves:
        _draw(curve, by_student[curve.student])
    for student, axis in by_student.items():
        axis.set(title=student, xscale="log")
    for student in students[-columns:]:
        by_student[student].set_xlabel("private samples")
    _label(figure, calibration)
    return figure


def _draw(curve: AccuracyCurve, axis: Any) -> None:
    colour, marker, label = _STYLES[curve.labels]
    shift = _SHIFT * (list(_STYLES).index(curve.labels) - 1)
    samples = np.array([entry.samples for entry in curve.cells], float)
    means = np.array([entry.mean for entry in curve.cells])
    ends = np.array([(one.lower95, one.upper95) for one in curve.cells], float)  # NaN for None
    errors = np.nan_to_num(np.abs(ends - means[:, None])).T
    axis.errorbar(
        samples * (1 + shift), 100 * means, yerr=100 * errors,
        fmt=marker, color=colour, markersize=4, capsize=2, linewidth=1, label=label,
    )  # fmt: skip
    if curve.fit is not None:
        grid = np.geomspace(samples[0], samples[-1], 50)
        values = curve.fit.a - curve.fit.b * grid**-curve.fit.c
        axis.plot(grid, 100 * values, color=colour, linewidth=1, alpha=0.7)


def _label(figure: Any, calibration: Calibration) -> None:
    from matplotlib.ticker import NullLocator

    sizes = sorted({entry.samples for curve in calibration.curves for entry in curve.cells})
    for axis in figure.axes:
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.xaxis.set_minor_locator(NullLocator())
    figure.supylabel("test accuracy (%)")
    legend_below(figure, 3)

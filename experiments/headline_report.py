"""The results of headline.py as files and as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import write_csv
from headline_page import page_lines
from headline_summary import COLUMNS, MATCHED, RUN_COLUMNS, Row, summarise, with_objective

import dtkd_opt as do
from dtkd_opt.records.files import write_atomic
from dtkd_opt.reporting.figures import EMPTY, colour_and_marker, legend_below, panels, svg


def write_all(
    folder: Path,
    rows: list[Row],
    front: do.ParetoFront,
    fedavg_plans: Sequence[do.FedAvgPlan],
    header: list[str],
) -> None:
    """headline_runs.csv, headline.csv, headline.md and headline.svg, each atomically."""
    runs = with_objective(pd.DataFrame(rows), front.instance)
    found = summarise(runs)
    page = "\n".join(page_lines(found, runs, front, fedavg_plans, header))
    cells = runs[list(RUN_COLUMNS)].astype(object)
    rows = cells.where(cells.notna(), "").to_dict("records")  # FedAvg has no teacher
    write_csv(folder / "headline_runs.csv", RUN_COLUMNS, rows, header)
    write_csv(folder / "headline.csv", COLUMNS, found, header)
    write_atomic(folder / "headline.md", page.encode())
    write_atomic(folder / "headline.svg", svg(draw(found, front), "headline"))
    print(page)


def draw(found: Sequence[Row], front: do.ParetoFront) -> Any:
    """Accuracy against delay, a panel a partition, with the front of proven plans."""
    from matplotlib.ticker import LogLocator, NullFormatter

    partitions = list(dict.fromkeys(row["partition"] for row in found))
    methods = [row["method"] for row in found if not row["method"].startswith(MATCHED)]
    methods = list(dict.fromkeys(methods))
    figure, (axes,) = panels(1, len(partitions), (11, 5.4), sharex=True)
    for axis, partition in zip(axes, partitions, strict=True):
        mine = [row for row in found if row["partition"] == partition]
        plot_front(axis, front, mine)
        by_method = {row["method"]: row for row in mine}
        for row in mine:
            baseline = by_method[row["method"].removeprefix(MATCHED)]
            plot_method(axis, row, baseline, methods.index(baseline["method"]))
        axis.set(xscale="log", xlabel="total delay (s)", title=partition, **axis_limits(mine))
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("mean accuracy (%), 95 % intervals over seeds")
    legend_below(figure, 4)
    figure.suptitle(f"{front.instance.name} carried out")
    return figure


def axis_limits(rows: Sequence[Row]) -> Row:
    """Limits of both axes by the means, as intervals of few seeds are much wider."""
    delays, reached = [row["total_delay_s"] for row in rows], [row["mean_accuracy"] for row in rows]
    room = max(max(reached) - min(reached), 1e-3) / 3
    accuracy = 100 * (min(reached) - room), 100 * min(max(reached) + room, 1.0)
    return {"xlim": (min(delays) / 2, 2 * max(delays)), "ylim": accuracy}


def plot_front(axis: Any, front: do.ParetoFront, rows: Sequence[Row]) -> None:
    """The proven plans, and where by the predicted accuracies no plan can be."""
    accuracies = [*front.frame.mean_accuracy, *(row["mean_accuracy"] for row in rows)]
    accuracy = np.linspace(2 * min(accuracies) - 1, 1, 1000)
    axis.fill_betweenx(
        100 * accuracy, 0, front.min_delay(accuracy), color=EMPTY, lw=0,
        label="no plan can be here (predicted)",
    )  # fmt: skip
    axis.plot(
        front.frame.total_delay_s, 100 * front.frame.mean_accuracy, color="0.4", lw=1,
        label="proven plans, predicted",
    )  # fmt: skip


def plot_method(axis: Any, row: Row, baseline: Row, number: int) -> None:
    """A method's means with both intervals; a joint optimum at a baseline's delay leads to it."""
    (colour, marker), label = colour_and_marker(number), row["method"]
    if row is not baseline:
        marker, label = "x", "price, delay of where its line ends"
        ends = [[one["total_delay_s"], 100 * one["mean_accuracy"]] for one in (row, baseline)]
        axis.plot(*zip(*ends, strict=True), color=colour, lw=0.8, ls=":")
    bars = [
        [[scale * (row[mean] - row[f"{ends}_low"])], [scale * (row[f"{ends}_high"] - row[mean])]]
        for mean, ends, scale in (("total_delay_s", "delay", 1), ("mean_accuracy", "accuracy", 100))
    ]
    axis.errorbar(
        row["total_delay_s"], 100 * row["mean_accuracy"], xerr=bars[0], yerr=bars[1],
        color=colour, marker=marker, ls="", ms=6, capsize=2, mfc="none", label=label,
    )  # fmt: skip

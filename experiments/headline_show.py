"""What headline.py found, as files and in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import write_csv
from headline_sums import COLUMNS, MATCHED, RUN_COLUMNS, Row, summed_up, with_objective
from headline_words import in_words

import dtkd_opt as do
from dtkd_opt.records.files import write_atomic
from dtkd_opt.reporting.figures import EMPTY, colour_and_marker, legend_below, panels, svg


def write_all(
    folder: Path,
    rows: list[Row],
    front: do.ParetoFront,
    averagings: Sequence[do.FedAvgPlan],
    header: list[str],
) -> None:
    """headline_runs.csv, headline.csv, headline.md and headline.svg, each atomically."""
    runs = with_objective(pd.DataFrame(rows), front.instance)
    found = summed_up(runs)
    page = "\n".join(in_words(found, runs, front, averagings, header))
    told = runs[list(RUN_COLUMNS)].astype(object)
    rows = told.where(told.notna(), "").to_dict("records")  # FedAvg has no teacher
    write_csv(folder / "headline_runs.csv", RUN_COLUMNS, rows, header)
    write_csv(folder / "headline.csv", COLUMNS, found, header)
    write_atomic(folder / "headline.md", page.encode())
    write_atomic(folder / "headline.svg", svg(draw(found, front), "headline"))
    print(page)


def draw(found: Sequence[Row], front: do.ParetoFront) -> Any:
    """Accuracy against delay, a panel a partition, with the edge of what is proven possible."""
    from matplotlib.ticker import LogLocator, NullFormatter

    partitions = list(dict.fromkeys(row["partition"] for row in found))
    methods = [row["method"] for row in found if not row["method"].startswith(MATCHED)]
    methods = list(dict.fromkeys(methods))
    figure, (axes,) = panels(1, len(partitions), (11, 5.4), sharex=True)
    for axis, partition in zip(axes, partitions, strict=True):
        mine = [row for row in found if row["partition"] == partition]
        edge(axis, front, mine)
        known = {row["method"]: row for row in mine}
        for row in mine:
            baseline = known[row["method"].removeprefix(MATCHED)]
            mark(axis, row, baseline, methods.index(baseline["method"]))
        axis.set(xscale="log", xlabel="total delay (s)", title=partition, **ends(mine))
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("mean accuracy (%), 95 % intervals over seeds")
    legend_below(figure, 4)
    figure.suptitle(f"{front.instance.name} carried out")
    return figure


def ends(rows: Sequence[Row]) -> Row:
    """Limits of both axes by the means: intervals of few seeds go far beyond."""
    delays, reached = [row["total_delay_s"] for row in rows], [row["mean_accuracy"] for row in rows]
    room = max(max(reached) - min(reached), 1e-3) / 3
    accuracy = 100 * (min(reached) - room), 100 * min(max(reached) + room, 1.0)
    return {"xlim": (min(delays) / 2, 2 * max(delays)), "ylim": accuracy}


def edge(axis: Any, front: do.ParetoFront, rows: Sequence[Row]) -> None:
    """The proven plans, and where by the accuracy table no plan can be."""
    known = [*front.frame.mean_accuracy, *(row["mean_accuracy"] for row in rows)]
    accuracy = np.linspace(2 * min(known) - 1, 1, 1000)
    axis.fill_betweenx(
        100 * accuracy, 0, front.min_delay(accuracy), color=EMPTY, lw=0,
        label="no plan can be here (predicted)",
    )  # fmt: skip
    axis.plot(
        front.frame.total_delay_s, 100 * front.frame.mean_accuracy, color="0.4", lw=1,
        label="proven plans, predicted",
    )  # fmt: skip


def mark(axis: Any, row: Row, baseline: Row, number: int) -> None:
    """A method's means with both intervals; a joint optimum at a baseline's delay leads to it."""
    (colour, shape), label = colour_and_marker(number), row["method"]
    if row is not baseline:
        shape, label = "x", "price, delay of where its line ends"
        ends = [[one["total_delay_s"], 100 * one["mean_accuracy"]] for one in (row, baseline)]
        axis.plot(*zip(*ends, strict=True), color=colour, lw=0.8, ls=":")
    bars = [
        [[scale * (row[mean] - row[f"{ends}_low"])], [scale * (row[f"{ends}_high"] - row[mean])]]
        for mean, ends, scale in (("total_delay_s", "delay", 1), ("mean_accuracy", "accuracy", 100))
    ]
    axis.errorbar(
        row["total_delay_s"], 100 * row["mean_accuracy"], xerr=bars[0], yerr=bars[1],
        color=colour, marker=shape, ls="", ms=6, capsize=2, mfc="none", label=label,
    )  # fmt: skip

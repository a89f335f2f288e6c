"""A comparison on a terminal: its tables, and why runs have no plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.table import Table

from dtkd_opt.analysis.compare.run import Run
from dtkd_opt.reporting.summary import make_table

if TYPE_CHECKING:
    import pandas as pd


_COLUMNS = {  # heading: metric, format
    "objective\nJ (s)": ("incumbent_objective", ".6f"),
    "certified\ngap": ("gap", ".1e"),
    "to best\nbound": ("gap_best_bound", ".1e"),
    "mean\naccuracy": ("mean_accuracy", ".2%"),
    "total\ndelay (s)": ("total_delay_s", ".2f"),
    "time\n(s)": ("runtime_s", ".2f"),
}


def summary_tables(summary: pd.DataFrame) -> Iterator[Table]:
    """A table for each instance: three lines for each method."""
    for instance, rows in summary.groupby("instance", sort=False):
        lines: list[tuple[str, ...]] = []
        for row in rows.to_dict("records"):
            without = [f"{row[k]} {k.replace('_', ' ')}" for k in ("failed", "no_plan") if row[k]]
            runs = f"{row['runs']} run" + "s" * (row["runs"] > 1)
            names = (str(row["label"]), runs, ", ".join(without))
            for name, statistic in zip(names, ("median", "min", "max"), strict=True):
                values = [(row[f"{m}_{statistic}"], form) for m, form in _COLUMNS.values()]
                cells = ("-" if value != value else format(value, form) for value, form in values)
                lines.append((name, statistic, *cells))
        rich_table = make_table(
            str(instance), ["method\nruns", ""], list(_COLUMNS), lines,
            box=SIMPLE, pad_edge=False, collapse_padding=True,
        )  # fmt: skip
        for last in rich_table.rows[2::3]:
            last.end_section = True
        yield rich_table


def failure_lines(records: Sequence[Run]) -> list[str]:
    """One line for each run without a feasible plan, with its reason."""
    return [
        f"{run.outcome.replace('_', ' ')}: {run.spec.label} on {run.spec.instance}, "
        f"seed {run.spec.seed}: {run.reason}"
        for run in records
        if run.outcome != "plan"
    ]

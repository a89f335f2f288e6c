"""What headline.py found, in a table, in words and in a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import write_csv

import dtkd_opt as do
from dtkd_opt.compare.figures import style
from dtkd_opt.distill.fit import mean_interval
from dtkd_opt.drawing import svg
from dtkd_opt.files import write_atomic

JOINT, MATCHED = "price", "price, delay of "
RUN_COLUMNS = (
    "partition", "seed", "method", "mean_accuracy", "predicted_accuracy", "total_delay_s",
    "objective", "students", "at_server", "teacher_accuracy",
)  # fmt: skip
COLUMNS = (
    "partition", "method", "runs", "mean_accuracy", "accuracy_low", "accuracy_high",
    "predicted_accuracy", "total_delay_s", "delay_low", "delay_high", "objective",
    "ahead_accuracy", "ahead_accuracy_low", "ahead_accuracy_high", "ahead_delay_s",
    "ahead_delay_low", "ahead_delay_high", "verdict",
)  # fmt: skip
ALIKE_S = 1e-4  # total delays that differ by less are the solver's tolerance
Row = dict[str, Any]


def within(front: do.Front, delay: float) -> do.Solution | None:
    """The most accurate plan of a sweep that needs no more delay, if there is one."""
    solutions = [result.solution for result in front.results]
    fit = [one for one in solutions if (one.total_delay_s or 0.0) <= delay]
    return max(fit, key=lambda one: one.mean_accuracy or 0.0, default=None)


def write_all(
    folder: Path,
    rows: list[Row],
    front: do.Front,
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


def with_objective(runs: pd.DataFrame, instance: do.Instance) -> pd.DataFrame:
    """J [s] = mean delay + ρ (1 - mean accuracy), of what was reached."""
    error = instance.seconds_per_error * (1 - runs.mean_accuracy)
    return runs.assign(objective=runs.total_delay_s / len(instance.users) + error)


def summed_up(runs: pd.DataFrame) -> list[Row]:
    """Rows of headline.csv; `ahead_…` is how far a joint optimum is ahead, by seed.

    Of a joint optimum with the delay of a baseline it is how far this one is ahead of that, of
    all others how far `price` is ahead of them.
    """
    found = []
    for partition, part in runs.groupby("partition", sort=False):
        by_method = {name: mine.set_index("seed") for name, mine in part.groupby("method")}
        for method in dict.fromkeys(part.method):
            mine, joint, baseline = by_method[method], by_method[JOINT], by_method[method]
            if method.startswith(MATCHED):
                joint, baseline = mine, by_method[method.removeprefix(MATCHED)]
            accuracy, _, low, high = mean_interval(mine.mean_accuracy.tolist())
            delay, _, delay_low, delay_high = mean_interval(mine.total_delay_s.tolist())
            ahead = (joint.mean_accuracy - baseline.mean_accuracy).tolist()
            more, _, more_low, more_high = mean_interval(ahead)
            ahead = (baseline.total_delay_s - joint.total_delay_s).tolist()
            less, _, less_low, less_high = mean_interval(ahead)
            found.append({
                "partition": partition, "method": method, "runs": len(mine),
                "mean_accuracy": accuracy, "accuracy_low": low, "accuracy_high": high,
                "predicted_accuracy": round(mine.predicted_accuracy.mean(), 6),
                "total_delay_s": delay, "delay_low": delay_low, "delay_high": delay_high,
                "objective": round(mine.objective.mean(), 6),
                "ahead_accuracy": more, "ahead_accuracy_low": more_low,
                "ahead_accuracy_high": more_high, "ahead_delay_s": less,
                "ahead_delay_low": less_low, "ahead_delay_high": less_high,
                "verdict": "" if method == JOINT else verdict(more, less),
            })  # fmt: skip
    return found


def verdict(more: float, less: float) -> str:
    """Whether the claim holds against a baseline.

    Parameters
    ----------
    more, less
        How much more accuracy a joint optimum has, and how much less total delay [s].
    """
    less = 0.0 if abs(less) < ALIKE_S else less
    if more == less == 0:
        return "equal"
    if more >= 0 and less >= 0:
        return "holds"
    return "beaten" if more <= 0 and less <= 0 else "trade-off"


def in_words(
    found: list[Row], runs: pd.DataFrame, front: do.Front, averagings: Sequence[do.FedAvgPlan],
    header: Iterable[str],
) -> Iterator[str]:  # fmt: skip
    """The page: what was measured, where the claim holds, and the table."""
    name, count, weight = front.instance.name, runs.seed.nunique(), front.instance.seconds_per_error
    yield from (f"# {name} carried out, {count} seeds", "")
    yield "The claim: a joint optimum has more accuracy at no more delay, or less delay at no less"
    yield f"accuracy. `{JOINT}` is the joint optimum at ρ = {weight:g} s; `{MATCHED}X` is that of"
    yield "another ρ, the most accurate plan of a sweep that needs no more delay than X. Means over"
    yield "seeds, in brackets their 95 % intervals (Student's t). Accuracy is on the whole test"
    yield "split, whatever a user's own classes; J is of what was reached. “Ahead” is seed by seed,"
    yield f"points of accuracy and seconds of delay: of `{MATCHED}X` how far it is ahead of X, else"
    yield f"how far `{JOINT}` is ahead of the method."
    for partition in dict.fromkeys(row["partition"] for row in found):
        mine = [row for row in found if row["partition"] == partition]
        yield from ("", f"## {partition}", "", *claims(mine, front), "", *table(mine))
    yield from ("", "## What to know", "", *remarks(averagings, found))
    yield from ("", *(f"- {line}" for line in header), "")


def remarks(averagings: Sequence[do.FedAvgPlan], found: Sequence[Row]) -> Iterator[str]:
    """What a reader would ask about the baselines and the predictions."""
    best = averagings[0]
    yield f"- FedAvg trains one student for all on true labels, {len(best.epochs)} rounds of"
    yield f"  {best.epochs[0]} local epochs. Of all students {best.student} has the least J by the"
    yield "  accuracy table; its predicted accuracy is that of hard labels with the samples of all"
    yield "  users, as far as the table goes. A round waits for its slowest user, and its average"
    yield "  goes to each user apart. “No waiting” counts each user's own work alone, and one"
    yield "  sending to all at once: no schedule of the rounds takes less."
    yield "  `tests/test_fedavg.py` holds these rounds to those of Flower's own strategy `FedAvg`."
    if len({row["partition"] for row in found}) > 1:
        yield "- Predictions are of the same accuracy table, made with IID samples, in all parts."
    yield "- Students of the accuracy table were scored on the same test split. Plans are chosen by"
    yield "  the table, alike for all methods; learning rates and batch sizes by other samples."


def table(rows: Sequence[Row]) -> Iterator[str]:
    yield "| method | accuracy | predicted | total delay (s) | J (s) | ahead: points | s | claim |"
    yield "|---|--:|--:|--:|--:|--:|--:|---|"
    for row in rows:
        spread = row["delay_high"] - row["delay_low"] > ALIKE_S
        delays = f" [{row['delay_low']:.2f}, {row['delay_high']:.2f}]" if spread else ""
        yield (
            f"| {row['method']} | {percent(row, 'mean_accuracy', 'accuracy')} "
            f"| {row['predicted_accuracy']:.2%} | {row['total_delay_s']:.2f}{delays} "
            f"| {row['objective']:.3f} | {points(row)} | {row['ahead_delay_s']:+.2f} "
            f"| {row['verdict']} |"
        )


def percent(row: Row, mean: str, ends: str) -> str:
    return f"{row[mean]:.2%} [{100 * row[f'{ends}_low']:.2f}, {100 * row[f'{ends}_high']:.2f}]"


def points(row: Row) -> str:
    low, high = (100 * row[f"ahead_accuracy_{end}"] for end in ("low", "high"))
    return f"{100 * row['ahead_accuracy']:+.2f} [{low:+.2f}, {high:+.2f}]"


def claims(rows: Sequence[Row], front: do.Front) -> Iterator[str]:
    """Against whom the claim holds, first with each baseline's own delay, then for one ρ."""
    known = {row["method"]: row for row in rows}
    matched = [row for row in rows if row["method"].startswith(MATCHED)]
    judged = [row for row in rows if row["verdict"] and row not in matched]
    yield f"With no more delay than theirs, a joint optimum is more accurate than {named(matched)}."
    for row in matched:
        if row["verdict"] != "holds":
            yield f"- Exception: {row['method'].removeprefix(MATCHED)}: {beside(row)}"
    yield ""
    yield f"The joint optimum at the instance's own ρ is ahead in both of {named(judged)}."
    for row in judged:
        if row["verdict"] == "equal":
            yield f"- {row['method']} finds a plan of the same figures."
        if row["verdict"] in ("beaten", "trade-off"):
            yield exception(row, known.get(f"{MATCHED}{row['method']}"), known[JOINT], front)


def named(rows: Sequence[Row]) -> str:
    """Those against whom it holds, with what is not certain."""
    names = [
        f"{row['method'].removeprefix(MATCHED)}{unsure(row)}"
        for row in rows
        if row["verdict"] == "holds"
    ]
    return ", ".join(names) or "none"


def exception(row: Row, matched: Row | None, joint: Row, front: do.Front) -> str:
    """One that the claim does not hold against, and what a joint optimum has at its delay."""
    more, less = 100 * row["ahead_accuracy"], row["ahead_delay_s"]
    words = [f"{abs(more):.2f} points {'less' if more > 0 else 'more'} accuracy",
             f"{abs(less):.2f} s {'more' if less > 0 else 'less'} total delay"]  # fmt: skip
    kind = "Beaten by" if row["verdict"] == "beaten" else "Exception:"
    better = "less" if row["objective"] < joint["objective"] else "more"
    text = f"- {kind} {row['method']}: it has {' and '.join(words)}{unsure(row)}, and {better} J."
    if matched is not None:
        return f"{text} {beside(matched)}"
    found = within(front, row["total_delay_s"])
    if found is None:
        return f"{text} No joint optimum of the sweep needs as little delay."
    return (
        f"{text} The joint optimum that needs no more delay ({found.total_delay_s:.2f} s) was not "
        f"carried out; {found.mean_accuracy:.2%} is predicted of it."
    )


def beside(matched: Row) -> str:
    """How a joint optimum compares that needs no more delay."""
    return (
        f"The joint optimum that needs no more delay ({matched['total_delay_s']:.2f} s) is "
        f"{points(matched)} points ahead in accuracy."
    )


def unsure(row: Row) -> str:
    """What these seeds do not settle: where an interval of what is ahead holds 0 within."""
    open_ones = [
        what
        for what in ("accuracy", "delay")
        if row[f"ahead_{what}_low"] < 0 < row[f"ahead_{what}_high"]
    ]
    return f" ({' and '.join(open_ones)} not certain)" if open_ones else ""


def draw(found: Sequence[Row], front: do.Front) -> Any:
    """Accuracy against delay, a panel a partition, with the edge of what is proven possible."""
    from matplotlib.figure import Figure

    partitions = list(dict.fromkeys(row["partition"] for row in found))
    methods = [row["method"] for row in found if not row["method"].startswith(MATCHED)]
    methods = list(dict.fromkeys(methods))
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    axes = figure.subplots(1, len(partitions), sharex=True)
    for axis, partition in zip(axes, partitions, strict=True):
        mine = [row for row in found if row["partition"] == partition]
        edge(axis, front, mine)
        for row in mine:
            mark(axis, row, methods.index(row["method"].removeprefix(MATCHED)))
        axis.set(xscale="log", xlabel="total delay (s)", title=partition, **ends(found))
        axis.grid(color="0.9")
        axis.set_axisbelow(True)
    axes[0].set_ylabel("mean accuracy (%), 95 % intervals over seeds")
    known = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        known |= dict(zip(labels, handles, strict=True))
    figure.legend(known.values(), known.keys(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(f"{front.instance.name} carried out")
    return figure


def ends(rows: Sequence[Row]) -> Row:
    """Limits of both axes by the means: intervals of few seeds go far beyond."""
    delays, reached = [row["total_delay_s"] for row in rows], [row["mean_accuracy"] for row in rows]
    room = max(max(reached) - min(reached), 1e-3)
    accuracy = 100 * (min(reached) - room), 100 * min(max(reached) + room, 1.0)
    return {"xlim": (min(delays) / 2, 2 * max(delays)), "ylim": accuracy}


def edge(axis: Any, front: do.Front, rows: Sequence[Row]) -> None:
    """The proven plans, and where by the accuracy table no plan can be."""
    known = [*front.table.mean_accuracy, *(row["mean_accuracy"] for row in rows)]
    accuracy = np.linspace(2 * min(known) - 1, 1, 1000)
    axis.fill_betweenx(
        100 * accuracy, 0, front.least_delay(accuracy), color="0.92", lw=0,
        label="no plan can be here, by predicted accuracy (proven)",
    )  # fmt: skip
    axis.plot(
        front.table.total_delay_s, 100 * front.table.mean_accuracy, color="0.4", lw=1,
        label="proven plans, predicted",
    )  # fmt: skip


def mark(axis: Any, row: Row, number: int) -> None:
    """A method's means with both intervals; × is the joint optimum at the delay of its colour."""
    colour, shape = style(number)
    if row["method"].startswith(MATCHED):
        shape = "x"
    bars = [
        [[scale * (row[mean] - row[f"{ends}_low"])], [scale * (row[f"{ends}_high"] - row[mean])]]
        for mean, ends, scale in (("total_delay_s", "delay", 1), ("mean_accuracy", "accuracy", 100))
    ]
    axis.errorbar(
        row["total_delay_s"], 100 * row["mean_accuracy"], xerr=bars[0], yerr=bars[1],
        color=colour, marker=shape, ls="", ms=6, capsize=2, mfc="none", label=row["method"],
    )  # fmt: skip

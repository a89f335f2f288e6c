"""The files of a federation: a table of the users, two figures, and a summary of one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dtkd_opt.distill.costs import costs_of
from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.training import TrainConfig
from dtkd_opt.federate.figures import accuracy_figure, gantt
from dtkd_opt.federate.result import Federation
from dtkd_opt.federate.spec import Outcome
from dtkd_opt.federate.timeline import PIECES, clock, planned
from dtkd_opt.proof.check import plan_of
from dtkd_opt.records.files import write_atomic
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.solution import Solution
from dtkd_opt.reporting.figures import svg

if TYPE_CHECKING:
    import pandas as pd

_FOUND = ("outcome", "reason", "up_bits", "down_bits", "loss", "steps", "seconds", "cpu_s")


def written(folder: Path) -> tuple[Path, Path, Path, Path]:
    """The files of the table, the two figures and the summary."""
    names = ("users.csv", "gantt.svg", "accuracy.svg", "summary.md")
    table, chart, figure, page = (folder / name for name in names)
    return table, chart, figure, page


def write_results(federation: Federation, folder: Path) -> None:
    """Write all files, each atomically.

    Raises
    ------
    InputError
        When one cannot be written.
    """
    table, chart, figure, page = written(folder)
    write_atomic(table, federation.users.to_csv(index=False, lineterminator="\n").encode())
    write_atomic(chart, svg(gantt(federation), "gantt"))
    write_atomic(figure, svg(accuracy_figure(federation), "accuracy"))
    write_atomic(page, summary(federation).encode())


def users_table(
    instance: Instance, solution: Solution, outcomes: Sequence[Outcome]
) -> pd.DataFrame:
    """One row a user: its plan, its delay in pieces, the bits planned and crossed, what it found.

    Parameters
    ----------
    instance, solution, outcomes
        The problem, its plan, and the outcomes there are.
    """
    import pandas as pd

    plan = plan_of(instance, solution)
    chosen, pieces = planned(instance, plan), clock(instance, plan)
    known = {row.spec.user: row for row in outcomes}
    table = solution.to_frame()[["name", "model", "place", "server"]]
    table["samples"] = instance.users.samples
    table["predicted_accuracy"] = chosen.accuracy()
    rows = [_found(known.get(str(name))) for name in table["name"]]
    for piece in PIECES:
        table[f"{piece}_s"] = pieces.seconds[piece]
    table["delay_s"] = pieces.delay_s
    table["planned_up_bits"] = chosen.upload_bits()
    table["planned_down_bits"] = chosen.download_bits()
    table = pd.concat([table, pd.DataFrame(rows, index=table.index)], axis=1)
    table["error"] = table.realised_accuracy - table.predicted_accuracy
    return table


def _found(row: Outcome | None) -> dict[str, Any]:
    """What a row of the table has of an outcome; NaN where there is nothing."""
    if row is None:
        return dict.fromkeys(
            ("realised_accuracy", "fresh", *_FOUND, *TrainConfig.model_fields), np.nan
        )
    found = {"realised_accuracy": row.accuracy, "fresh": row.spec.fresh}
    found |= {key: getattr(row, key) for key in _FOUND} | row.spec.recipe.model_dump()
    return {key: np.nan if value is None else value for key, value in found.items()}


def bit_notes(instance: Instance, solution: Solution, data: Dataset) -> Iterator[str]:
    """Where the plan counts with other bits than the data and networks have."""
    task, labels = instance.task, 32.0 * data.classes
    if (task.bits_per_sample, task.bits_per_label) != (data.sample_bits, labels):
        yield (
            f"The plan counts {task.bits_per_sample:g} bits a sample and {task.bits_per_label:g} "
            f"a soft label, {data.name} has {data.sample_bits} and {labels:g}: bits and delays "
            "are those of the plan."
        )
    used = set(map(str, solution.users.model))
    for model in instance.models:
        if model.name in used:
            bits = costs_of(model.name, data.shape, data.classes).bits
            if bits != model.bits:
                yield f"The plan counts {model.bits:,.0f} bits for {model.name}, it has {bits:,}."


def summary(federation: Federation) -> str:
    """A page of Markdown: accuracy, delay, bits, what differs from the plan, who failed."""
    lines = [f"# {federation.instance.name} carried out on {federation.data}", ""]
    lines += [*_figures(federation), *_students(federation)]
    failed = [f"- {row.name}: {row.reason}" for row in federation.failed.itertuples(index=False)]
    notes = [f"- {note}" for note in federation.notes]
    for title, part in (("Failed", failed), ("To know when reading this", notes)):
        if part:
            lines += ["", f"## {title}", "", *part]
    return "\n".join([*lines, ""])


def _figures(federation: Federation) -> Iterator[str]:
    users, done = federation.users, federation.done
    yield "| figure | planned | carried out |"
    yield "|---|--:|--:|"
    yield f"| users | {len(users)} | {len(done)} |"
    predicted, realised = federation.predicted_accuracy, federation.realised_accuracy
    yield f"| mean accuracy of those done | {predicted:.2%} | {realised:.2%} |"
    yield f"| total delay (s), virtual clock | {federation.total_delay_s:.3f} | |"
    for way in ("up", "down"):
        bits = done[f"planned_{way}_bits"].sum(), done[f"{way}_bits"].sum()
        off = f" ({bits[1] / bits[0] - 1:+.2%})" if bits[0] else ""
        yield f"| bits {way} | {bits[0]:,.0f} | {bits[1]:,.0f}{off} |"
    yield ""
    yield " ".join([*_sentences(federation), *_rounding(federation)])


def _sentences(federation: Federation) -> Iterator[str]:
    """How far realised and predicted accuracy are apart, and whether that was to be expected."""
    done = federation.done
    if len(done):
        off = 100 * (federation.realised_accuracy - federation.predicted_accuracy)
        least, most = 100 * done.error.min(), 100 * done.error.max()
        yield f"Realised less predicted: {off:+.2f} points in the mean, of single users from"
        yield f"{least:+.2f} to {most:+.2f}."
    if federation.expected is not None and len(done) == len(federation.users):
        low, high = federation.expected
        yield f"Calibration's 95 % interval of the mean is {low:.2%} to {high:.2%} and"
        covers = low <= federation.realised_accuracy <= high
        why = "what differs is told below" if federation.notes else "nothing known differs"
        yield "covers it." if covers else f"does not cover it; {why}."
    if federation.teacher_accuracy is not None:
        yield f"Teacher: {federation.teacher_accuracy:.2%} on the same samples."
    yield f"Engine: {federation.engine}; {done.cpu_s.sum() / 60:.1f} minutes of CPU time."


def _rounding(federation: Federation) -> Iterator[str]:
    """That samples are whole, where the plan counts with parts of some: the sums hide it."""
    done, shares = federation.done, federation.instance.users.fresh_fraction
    planned = done.samples * shares[done.index]
    off = (done.fresh - planned).abs()
    crossing = done[["planned_up_bits", "planned_down_bits"]].to_numpy().any()
    if crossing and (off > 1e-9).any():
        user = off.idxmax()
        yield "Bits are sums over the users; those of a single one may be further from the plan,"
        yield f"as samples are whole ({done.name[user]}: {done.fresh[user]:.0f} fresh ones for"
        yield f"{planned[user]:.4g} planned)."


def _students(federation: Federation) -> Iterator[str]:
    yield from ("", "## Students", "")
    yield "| student | place | users | predicted | realised | mean delay (s) |"
    yield "|---|---|--:|--:|--:|--:|"
    for (model, place), mine in federation.done.groupby(["model", "place"]):
        yield (
            f"| {model} | {place} | {len(mine)} | {mine.predicted_accuracy.mean():.2%} "
            f"| {mine.realised_accuracy.mean():.2%} | {mine.delay_s.mean():.3f} |"
        )

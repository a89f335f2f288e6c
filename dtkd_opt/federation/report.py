"""The files of a federation: users.csv, two figures, and a summary of one page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dtkd_opt.distill.costs import costs_of
from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.training import TrainConfig
from dtkd_opt.errors import printable
from dtkd_opt.federation.figures import accuracy_figure, gantt
from dtkd_opt.federation.result import Federation
from dtkd_opt.federation.timeline import STAGES, Timeline
from dtkd_opt.federation.user_training import UserTrainingResult
from dtkd_opt.problem.demands import Demands
from dtkd_opt.records.files import to_csv, write_files
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.result_files import FEDERATION
from dtkd_opt.records.solution import Solution
from dtkd_opt.reporting.figures import svg

if TYPE_CHECKING:
    import pandas as pd

_RESULT = ("outcome", "reason", "up_bits", "down_bits", "loss", "steps", "seconds", "cpu_s")


def write_results(federation: Federation, folder: Path) -> None:
    """Write all files, atomically; InputError where one cannot be written."""
    contents = (
        to_csv(federation.users),
        svg(gantt(federation), "gantt"),
        svg(accuracy_figure(federation), "accuracy"),
        summary(federation).encode(),
    )
    write_files({folder / name: data for name, data in zip(FEDERATION, contents, strict=True)})


def users_frame(
    instance: Instance, solution: Solution, timeline: Timeline, results: list[UserTrainingResult]
) -> pd.DataFrame:
    """One row a user: its plan, its delay in stages, planned and sent bits, its training's result.

    `results` are those of the users that have any so far.
    """
    import pandas as pd

    chosen = Demands.of_plan(instance, solution.users.to_plan(instance))
    by_user = {row.spec.user: row for row in results}
    users = solution.to_frame()[["name", "model", "place", "server"]]
    users["samples"] = instance.users.samples
    users["predicted_accuracy"] = chosen.accuracy()
    rows = [_result_columns(by_user.get(str(name))) for name in users["name"]]
    for stage in STAGES:
        users[f"{stage}_s"] = timeline.seconds[stage]
    users["delay_s"] = timeline.delay_s
    users["planned_up_bits"] = chosen.upload_bits()
    users["planned_down_bits"] = chosen.download_bits()
    users = pd.concat([users, pd.DataFrame(rows, index=users.index)], axis=1)
    users["error"] = users.realised_accuracy - users.predicted_accuracy
    return users


def _result_columns(row: UserTrainingResult | None) -> dict[str, Any]:
    """A user's columns of the training; NaN where there is nothing."""
    columns = ("realised_accuracy", "fresh", *_RESULT, *TrainConfig.model_fields)
    values: dict[str, Any] = {}
    if row is not None:
        values = row.spec.config.model_dump() | row.model_dump(include=set(_RESULT))
        values |= {"realised_accuracy": row.accuracy, "fresh": row.spec.fresh}
    return {key: np.nan if values.get(key) is None else values[key] for key in columns}


def bit_notes(instance: Instance, solution: Solution, data: Dataset) -> Iterator[str]:
    """Sentences on the bits of the plan that differ from those of data and networks."""
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
    """A page of Markdown: accuracy, delay, bits, differences from the plan, failed users."""
    lines = [f"# {federation.instance.name} carried out on {federation.data}", ""]
    lines += [*_figures(federation), *_students(federation)]
    failed = [f"- {row.name}: {row.reason}" for row in federation.failed.itertuples(index=False)]
    notes = [f"- {note}" for note in federation.notes]
    for title, items in (("Failed", failed), ("Notes", notes)):
        if items:
            lines += ["", f"## {title}", "", *items]
    return "\n".join(map(printable, [*lines, ""]))


def _figures(federation: Federation) -> Iterator[str]:
    users, done = federation.users, federation.done
    yield "| figure | planned | carried out |"
    yield "|---|--:|--:|"
    yield f"| users | {len(users)} | {len(done)} |"
    predicted, realised = federation.predicted_accuracy, federation.realised_accuracy
    yield f"| mean accuracy of those done | {predicted:.2%} | {realised:.2%} |"
    yield f"| total delay (s), virtual timeline | {federation.total_delay_s:.3f} | |"
    for direction in ("up", "down"):
        bits = done[f"planned_{direction}_bits"].sum(), done[f"{direction}_bits"].sum()
        change = f" ({bits[1] / bits[0] - 1:+.2%})" if bits[0] else ""
        yield f"| bits {direction} | {bits[0]:,.0f} | {bits[1]:,.0f}{change} |"
    yield ""
    yield " ".join([*_sentences(federation), *_rounding(federation)])


def _sentences(federation: Federation) -> Iterator[str]:
    """The difference between realised and predicted accuracy, and whether it is within bounds."""
    done = federation.done
    if len(done):
        error = 100 * (federation.realised_accuracy - federation.predicted_accuracy)
        min_error, max_error = 100 * done.error.min(), 100 * done.error.max()
        yield f"Realised minus predicted: {error:+.2f} points in the mean, for single users from"
        yield f"{min_error:+.2f} to {max_error:+.2f}."
    if federation.expected_interval is not None and len(done) == len(federation.users):
        low, high = federation.expected_interval
        yield f"Calibration's 95 % interval of the mean is {low:.2%} to {high:.2%} and"
        covers = low <= federation.realised_accuracy <= high
        why = "the notes say what differs" if federation.notes else "no difference is known"
        yield "covers it." if covers else f"does not cover it; {why}."
    if federation.teacher_accuracy is not None:
        yield f"Teacher: {federation.teacher_accuracy:.2%} on the same samples."
    yield f"Engine: {federation.engine}; {done.cpu_s.sum() / 60:.1f} minutes of CPU time."


def _rounding(federation: Federation) -> Iterator[str]:
    """That samples are whole while the plan counts fractions of some, which the sums hide."""
    done, shares = federation.done, federation.instance.users.fresh_fraction
    planned = done.samples * shares[done.index]
    rounding = (done.fresh - planned).abs()
    sends = done[["planned_up_bits", "planned_down_bits"]].to_numpy().any()
    if sends and (rounding > 1e-9).any():
        user = rounding.idxmax()
        yield "Bits are sums over the users; those of a single user may differ more from the plan,"
        yield f"as samples are whole ({done.name[user]}: {done.fresh[user]:.0f} fresh ones for"
        yield f"{planned[user]:.4g} planned)."


def _students(federation: Federation) -> Iterator[str]:
    yield from ("", "## Students", "")
    yield "| student | place | users | predicted | realised | mean delay (s) |"
    yield "|---|---|--:|--:|--:|--:|"
    for (model, place), group in federation.done.groupby(["model", "place"]):
        yield (
            f"| {model} | {place} | {len(group)} | {group.predicted_accuracy.mean():.2%} "
            f"| {group.realised_accuracy.mean():.2%} | {group.delay_s.mean():.3f} |"
        )

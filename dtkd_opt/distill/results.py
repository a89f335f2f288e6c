"""The files of a calibration: table, trainings, figure, and a summary of one page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dtkd_opt.distill.figures import accuracy_figure
from dtkd_opt.distill.fit import half_width
from dtkd_opt.distill.jobs import Job, Training
from dtkd_opt.distill.select_hyperparameters import left_out, without_setting
from dtkd_opt.distill.training import TrainConfig
from dtkd_opt.records import outputs
from dtkd_opt.records.calibration import (
    AccuracyCurve,
    AccuracyStatistics,
    Calibration,
    DistillationGain,
    PowerLaw,
    write_calibration,
)
from dtkd_opt.records.files import write_atomic
from dtkd_opt.reporting.figures import svg

if TYPE_CHECKING:
    import pandas as pd

CHOOSING, TRAINING = "choosing", "training"  # phases, and names of their journals


def journal_path(output: Path, phase: str) -> Path:
    """The file beside the table in which a phase's trainings are kept as they end."""
    return output.with_name(f"{output.stem}.{phase}.jsonl")


def written(output: Path) -> tuple[Path, Path, Path, Path]:
    """The table's file, and those of the trainings, the figure and the summary."""
    csv, figure, page = (output.with_name(f"{output.stem}.{end}") for end in ("csv", "svg", "md"))
    return output, csv, figure, page


def check_output(output: Path, reads: Sequence[Path] = ()) -> None:
    """UsageError where a calibration's files would overwrite each other, or what it reads."""
    journals = [journal_path(output, phase) for phase in (CHOOSING, TRAINING)]
    outputs.check_output((*written(output), *journals), ".json", reads)


def write_results(table: Calibration, rows: Sequence[Training], output: Path) -> None:
    """Write all files, each atomically, and the table last.

    Raises
    ------
    InputError
        When one cannot be written.
    """
    _, csv, figure, page = written(output)
    write_atomic(csv, runs_table(rows).to_csv(index=False, lineterminator="\n").encode())
    write_atomic(figure, svg(accuracy_figure(table), "calibration"))
    write_atomic(page, summary(table, rows).encode())
    write_calibration(table, output)


def runs_table(rows: Iterable[Training]) -> pd.DataFrame:
    """One row a training: what was asked, with its recipe, and what was found."""
    import pandas as pd

    asked = [key for key in Job.model_fields if key != "recipe"]
    found = [key for key in Training.model_fields if key not in ("asked", "versions")]
    columns = [*asked, *TrainConfig.model_fields, *found]
    records = [
        row.asked.model_dump(exclude={"recipe"}) | row.asked.recipe.model_dump()
        | row.model_dump(include=set(found))
        for row in rows
    ]  # fmt: skip
    return pd.DataFrame(records, columns=columns)


def summary(table: Calibration, rows: Sequence[Training]) -> str:
    """A page of Markdown: settings, accuracies, lifts, what was chosen, changed and lost."""
    return "\n".join(
        [*_settings(table, rows), *_accuracies(table), *_lifts(table), *_fits(table),
         *_choices(table), *_choice_notes(table, rows), *_notes(table, rows), ""]
    )  # fmt: skip


def _settings(table: Calibration, rows: Sequence[Training]) -> Iterator[str]:
    teacher = table.networks[-1]
    minutes = sum(row.cpu_s or 0.0 for row in rows) / 60
    yield f"# Accuracy by private samples: {table.data}"
    yield ""
    yield (
        f"{table.seeds} seeds, {table.task.epochs} epochs, τ = {table.tau:g}, α = {table.alpha:g}, "
        f"private samples {table.partition}; on the device {table.fresh_fraction:.0%} of them "
        f"have hard labels only. Teacher: {teacher.parameters:,} parameters, "
        f"{teacher.accuracy or 0:.2%} on the test split. {table.version}, {table.device}; "
        f"{len(rows)} trainings, {minutes:.1f} minutes of CPU time."
    )


def _accuracies(table: Calibration) -> Iterator[str]:
    yield from _head("Test accuracy in % (mean ± half of its 95 % interval)", table, "labels")
    for curve in table.curves:
        cells = {cell.samples: _cell(cell) for cell in curve.cells}
        yield _row(curve.student, curve.labels, cells, table)


def _cell(cell: AccuracyStatistics) -> str:
    # not from the ends, which are cut at 0 and 1
    return _interval(cell.mean, None if cell.std is None else half_width(cell.std, cell.runs))


def _interval(mean: float, half: float | None, sign: str = "") -> str:
    return f"{100 * mean:{sign}.2f}" + ("" if half is None else f" ± {100 * half:.2f}")


def _lifts(table: Calibration) -> Iterator[str]:
    yield from _head("Lift of soft labels over hard ones in points, paired by seed", table, "at")
    pairs = dict.fromkeys((lift.student, lift.labels) for lift in table.lifts)
    for student, labels in pairs:
        mine = [x for x in table.lifts if (x.student, x.labels) == (student, labels)]
        yield _row(student, labels, {lift.samples: _lift(lift) for lift in mine}, table)


def _lift(lift: DistillationGain) -> str:
    half = None if lift.lower95 is None else lift.mean - lift.lower95
    text = _interval(lift.mean, half, "+")
    return f"**{text}**" if lift.lower95 is not None and lift.lower95 > 0 else text


def _fits(table: Calibration) -> Iterator[str]:
    fitted = [(curve, curve.fit) for curve in table.curves if curve.fit is not None]
    if fitted:
        yield from ("", "## Power law a − b D^−c", "")
        yield from ("| student | labels | a | b | c | largest residual |", "|---" * 6 + "|")
    for curve, fit in fitted:
        yield _fit(curve, fit)


def _fit(curve: AccuracyCurve, fit: PowerLaw) -> str:
    worst = max(map(abs, fit.residuals))
    return (
        f"| {curve.student} | {curve.labels} | {fit.a:.4f} | {fit.b:.4g} | {fit.c:.3f} "
        f"| {100 * worst:.2f} points |"
    )


def _choices(table: Calibration) -> Iterator[str]:
    title = "Chosen on the validation split: learning rate, batch size"
    yield from _head(title, table, "labels")
    for student, labels in dict.fromkeys((c.student, c.labels) for c in table.choices):
        mine = [c for c in table.choices if (c.student, c.labels) == (student, labels)]
        texts = {c.samples: f"{c.learning_rate:g}, {c.batch_size}" for c in mine}
        yield _row(student, labels, texts, table)


def _choice_notes(table: Calibration, rows: Sequence[Training]) -> Iterator[str]:
    """What was chosen at an end of what was tried, and what the largest size took over."""
    tried = [row.asked.recipe for row in rows if row.asked.scored_on == "validation"]
    for name in ("learning_rate", "batch_size"):
        values = sorted({getattr(recipe, name) for recipe in tried})
        for end, value in (("smallest", values[0]), ("largest", values[-1])) if values[2:] else ():
            count = sum(getattr(choice, name) == value for choice in table.choices)
            if count:
                yield "\n" + (
                    f"Of {len(table.choices)} choices {count} are at an end of the grid: the {end} "
                    f"{name.replace('_', ' ')} tried, {value:g}. Beyond it may be a better one."
                )
    chosen, largest = [choice.samples for choice in table.choices], _sizes(table)[-1]
    if chosen and max(chosen) < largest:
        yield f"\nWith {largest:,} samples nothing was tried: it takes what {max(chosen):,} chose."


def _notes(table: Calibration, rows: Sequence[Training]) -> Iterator[str]:
    changed = [
        f"- {curve.student}, {curve.labels}, {cell.samples} samples: used {used:.6f} "
        f"for the {what} {found:.6f}, so that accuracy does not fall with more samples"
        for curve in table.curves
        for cell in curve.cells
        for what, used, found in (
            ("mean", cell.used, cell.mean),
            ("lower end", cell.used_lower95, cell.lower95),
        )
        if used != found
    ]
    out = left_out(row for row in rows if row.asked.scored_on == "validation")
    titles = {
        "Changed": changed,
        "Left out": [f"- {without_setting(row)}" for row in out],
        "Without a result": [f"- {line}" for line in lost_lines(rows)],
    }
    for title, lines in titles.items():
        if lines:
            yield from ("", f"## {title}", "", *lines)


def lost_lines(rows: Iterable[Training]) -> list[str]:
    """One line for each training without a result, with its reason."""
    return [
        f"{row.outcome}: {row.asked.student}, {row.asked.labels}, {row.asked.samples} samples, "
        f"seed {row.asked.seed} ({row.asked.scored_on}): {row.reason}"
        for row in rows
        if row.outcome != "done"
    ]


def accuracy_lines(table: Calibration) -> list[str]:
    """The mean accuracies as lines of text for a terminal."""
    sizes = _sizes(table)
    lines = [f"{'student':9}{'labels':8}" + "".join(f"{size:>9,}" for size in sizes)]
    for curve in table.curves:
        cells = {cell.samples: f"{cell.mean:.2%}" for cell in curve.cells}
        values = "".join(f"{cells.get(size, '-'):>9}" for size in sizes)
        lines.append(f"{curve.student:9}{curve.labels:8}{values}")
    return lines


def _sizes(table: Calibration) -> list[int]:
    return sorted({cell.samples for curve in table.curves for cell in curve.cells})


def _head(title: str, table: Calibration, second: str) -> Iterator[str]:
    sizes = _sizes(table)
    heads = " | ".join(f"{size:,}" for size in sizes)
    yield from ("", f"## {title}", "")
    yield from (f"| student | {second} | {heads} |", "|---|---|" + "--:|" * len(sizes))


def _row(first: str, second: str, cells: dict[int, str], table: Calibration) -> str:
    return f"| {first} | {second} | {' | '.join(cells.get(n, '') for n in _sizes(table))} |"

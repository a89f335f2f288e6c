"""A calibration as text: the page of Markdown beside it, and the lines that the command prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from dtkd_opt.distill.fit import half_width
from dtkd_opt.distill.jobs import TrainingRow
from dtkd_opt.distill.select_hyperparameters import excluded, exclusion_reason, kind_of
from dtkd_opt.errors import printable_lines
from dtkd_opt.records.calibration import AccuracyStatistics, Calibration, DistillationGain

_Cells = dict[tuple[str, str, int], str]  # by student, labels and size
_NONE = "none"  # in the place of a figure that no training gave


def summary(calibration: Calibration, rows: Sequence[TrainingRow]) -> str:
    """A page of Markdown: settings, accuracies, gains, choices, adjustments and failures."""
    tested = _tried(rows, "test")
    accuracies = tested | {
        (curve.student, curve.labels, entry.samples): _mean(entry)
        for curve in calibration.curves
        for entry in curve.cells
    }
    gains = {key: none for key, none in tested.items() if key[1] != "hard"} | {
        (g.student, g.labels, g.samples): _gain(g) for g in calibration.lifts
    }
    choices = _tried(rows, "validation", kind_of) | {
        (c.student, c.labels, c.samples): f"{c.learning_rate:g}, {c.batch_size}"
        for c in calibration.choices
    }
    sizes = sorted({size for *_, size in accuracies})
    lines = [
        *_settings(calibration, rows),
        *("", "## Test accuracy in % (mean ± half of its 95 % interval)", ""),
        *_table("labels", sizes, accuracies),
        *("", "## Gain of soft labels over hard ones in points, paired by seed", ""),
        *_table("at", sizes, gains),
        *_fits(calibration),
        *("", "## Chosen on the validation split: learning rate, batch size", ""),
        *_table("labels", sizes, choices),
        *_choice_notes(calibration, rows),
        *_notes(calibration, rows),
    ]
    return "\n".join(map(printable_lines, lines)) + "\n"


def _tried(
    rows: Iterable[TrainingRow], split: str, kind: Callable[[str], str] = lambda labels: labels
) -> _Cells:
    """Cells of the trainings that were scored on a split; what they gave takes the place of none.

    `kind` turns what a training learnt from into the labels of a table.
    """
    specs = [row.spec for row in rows if row.spec.scored_on == split]
    return {(spec.student, kind(spec.labels), spec.samples): _NONE for spec in specs}


def _table(second: str, sizes: Sequence[int], cells: _Cells) -> Iterator[str]:
    """A table with a row for each student and kind of labels, a column for each size."""
    heads = " | ".join(f"{size:,}" for size in sizes)
    yield from (f"| student | {second} | {heads} |", "|---|---|" + "--:|" * len(sizes))
    for student, labels in dict.fromkeys(key[:2] for key in cells):
        texts = " | ".join(cells.get((student, labels, size), "") for size in sizes)
        yield f"| {student} | {labels} | {texts} |"


def _settings(calibration: Calibration, rows: Sequence[TrainingRow]) -> Iterator[str]:
    teacher = calibration.networks[-1]
    minutes = sum(row.cpu_s or 0.0 for row in rows) / 60
    yield f"# Accuracy by private samples: {calibration.data}"
    yield ""
    yield (
        f"{calibration.seeds} seeds, {calibration.task.epochs} epochs, τ = {calibration.tau:g}, "
        f"α = {calibration.alpha:g}, private samples {calibration.partition}; on the device "
        f"{calibration.fresh_fraction:.0%} of them have hard labels only. Teacher: "
        f"{teacher.parameters:,} parameters, {teacher.accuracy or 0:.2%} on the test split. "
        f"{calibration.version}, {calibration.device}; "
        f"{len(rows)} trainings, {minutes:.1f} minutes of CPU time."
    )


def _mean(entry: AccuracyStatistics) -> str:
    # not from the ends, which are cut at 0 and 1
    return _interval(entry.mean, None if entry.std is None else half_width(entry.std, entry.runs))


def _interval(mean: float, half: float | None, sign: str = "") -> str:
    return f"{100 * mean:{sign}.2f}" + ("" if half is None else f" ± {100 * half:.2f}")


def _gain(gain: DistillationGain) -> str:
    half = None if gain.lower95 is None else gain.mean - gain.lower95
    text = _interval(gain.mean, half, "+")
    return f"**{text}**" if gain.lower95 is not None and gain.lower95 > 0 else text


def _fits(calibration: Calibration) -> Iterator[str]:
    fits = [(curve, curve.fit) for curve in calibration.curves if curve.fit is not None]
    if fits:
        yield from ("", "## Power law a − b D^−c", "")
        yield from ("| student | labels | a | b | c | largest residual |", "|---" * 6 + "|")
    for curve, fit in fits:
        yield (
            f"| {curve.student} | {curve.labels} | {fit.a:.4f} | {fit.b:.4g} | {fit.c:.3f} "
            f"| {100 * max(map(abs, fit.residuals)):.2f} points |"
        )


def _choice_notes(calibration: Calibration, rows: Sequence[TrainingRow]) -> Iterator[str]:
    """Choices at an end of the values tried, and those that the largest size took over."""
    tried = [row.spec.config for row in rows if row.spec.scored_on == "validation"]
    for name in ("learning_rate", "batch_size"):
        values = sorted({getattr(config, name) for config in tried})
        for end, value in (("smallest", values[0]), ("largest", values[-1])) if values[2:] else ():
            if count := sum(getattr(choice, name) == value for choice in calibration.choices):
                yield (
                    f"\nOf {len(calibration.choices)} choices {count} are at an end of the grid: "
                    f"the {end} {name.replace('_', ' ')} tried, {value:g}. "
                    "Beyond it may be a better one."
                )
    chosen, largest = [choice.samples for choice in calibration.choices], _sizes(calibration)[-1]
    if chosen and max(chosen) < largest:
        yield f"\nWith {largest:,} samples nothing was tried: it takes what {max(chosen):,} chose."


def _notes(calibration: Calibration, rows: Sequence[TrainingRow]) -> Iterator[str]:
    lost = [
        f"- {student}, {size:,} samples: none, as it has no training with each kind of labels"
        for student, size in _lost(calibration, rows)
    ]
    lost += [
        f"- {curve.student}, {curve.labels}, {entry.samples:,} samples: the 95 % interval is none, "
        f"as only one of {calibration.seeds} seeds has a result"
        for curve in calibration.curves
        for entry in curve.cells
        if entry.runs == 1 < calibration.seeds
    ]
    changed = [
        f"- {curve.student}, {curve.labels}, {entry.samples} samples: used {used:.6f} "
        f"for the {what} {measured:.6f}, so that accuracy does not fall with more samples"
        for curve in calibration.curves
        for entry in curve.cells
        for what, used, measured in (
            ("mean", entry.used, entry.mean),
            ("lower end", entry.used_lower95, entry.lower95),
        )
        if used != measured
    ]
    out = excluded(row for row in rows if row.spec.scored_on == "validation")
    titles = {
        "Without a value": lost,
        "Changed": changed,
        "Left out": [f"- {exclusion_reason(row)}" for row in out],
        "Without a result": [f"- {line}" for line in failure_lines(rows)],
    }
    for title, lines in titles.items():
        if lines:
            yield from ("", f"## {title}", "", *lines)


def _lost(calibration: Calibration, rows: Iterable[TrainingRow]) -> list[tuple[str, int]]:
    """Students and sizes that were trained and are not in the calibration."""
    curves = calibration.curves
    found = {(curve.student, entry.samples) for curve in curves for entry in curve.cells}
    tested = dict.fromkeys((student, size) for student, _, size in _tried(rows, "test"))
    return [one for one in tested if one not in found]


def failure_lines(rows: Iterable[TrainingRow]) -> list[str]:
    """One line for each training without a result, with its reason."""
    return [
        f"{row.outcome}: {row.spec.student}, {row.spec.labels}, {row.spec.samples} samples, "
        f"seed {row.spec.seed} ({row.spec.scored_on}): {row.reason}"
        for row in rows
        if row.outcome != "done"
    ]


def accuracy_lines(calibration: Calibration, rows: Iterable[TrainingRow] = ()) -> list[str]:
    """The mean accuracies as lines of text for a terminal; `rows` are the trainings behind them."""
    sizes = sorted({*_sizes(calibration), *(size for *_, size in _tried(rows, "test"))})
    lines = [f"{'student':9}{'labels':8}" + "".join(f"{size:>9,}" for size in sizes)]
    for curve in calibration.curves:
        cells = {entry.samples: f"{entry.mean:.2%}" for entry in curve.cells}
        values = "".join(f"{cells.get(size, _NONE):>9}" for size in sizes)
        lines.append(f"{curve.student:9}{curve.labels:8}{values}")
    return lines


def _sizes(calibration: Calibration) -> list[int]:
    return sorted({entry.samples for curve in calibration.curves for entry in curve.cells})

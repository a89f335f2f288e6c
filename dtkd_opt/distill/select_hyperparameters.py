"""Learning rate and number of steps, chosen on validation data for hard and soft labels apart.

With the epochs given, the batch size decides the number of steps; so the training costs the same
cycles whatever is chosen. Seeds and split are others than those of the table.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from dtkd_opt.distill.fit import DIGITS
from dtkd_opt.distill.jobs import Training
from dtkd_opt.errors import InputError
from dtkd_opt.records.calibration import ChosenHyperparameters

Kind = Literal["hard", "soft"]
Cell = tuple[str, Kind, int]  # student, labels, samples
Setting = tuple[float, int]  # learning rate, batch size


def kind_of(labels: str) -> Kind:
    """Runs on the device and at the server both have soft labels, and share what is chosen."""
    return "hard" if labels == "hard" else "soft"


def choose(rows: Iterable[Training]) -> list[ChosenHyperparameters]:
    """The setting with the best mean validation accuracy for each student, labels and size.

    A setting with which a training diverged is out; of equal ones the first counts. A size without
    any setting is left out.
    """
    found: dict[Cell, dict[Setting, list[Training]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        job = row.asked
        setting = (job.recipe.learning_rate, job.recipe.batch_size)
        found[job.student, kind_of(job.labels), job.samples][setting].append(row)
    best = [_best(cell, settings) for cell, settings in found.items()]
    return [choice for choice in best if choice is not None]


def _best(
    cell: Cell, settings: Mapping[Setting, Sequence[Training]]
) -> ChosenHyperparameters | None:
    means = {}
    for setting, rows in settings.items():
        values = [row.accuracy for row in rows if row.accuracy is not None]
        if values and all(row.outcome != "diverged" for row in rows):
            means[setting] = math.fsum(values) / len(values)
    if not means:
        return None
    student, labels, samples = cell
    learning_rate, batch_size = max(means, key=lambda setting: means[setting])
    return ChosenHyperparameters(
        student=student,
        labels=labels,
        samples=samples,
        learning_rate=learning_rate,
        batch_size=batch_size,
        accuracy=round(means[learning_rate, batch_size], DIGITS),
    )


def left_out(rows: Iterable[Training]) -> list[Training]:
    """The first lost training of each student for which some kind of labels has no setting."""
    rows = tuple(rows)
    chosen = {(choice.student, choice.labels) for choice in choose(rows)}
    lost: dict[str, Training] = {}
    for row in rows:
        job = row.asked
        if row.outcome != "done" and (job.student, kind_of(job.labels)) not in chosen:
            lost.setdefault(job.student, row)
    return list(lost.values())


def without_setting(row: Training) -> str:
    """What is said of a student by its row of :func:`left_out`."""
    kind = kind_of(row.asked.labels)
    fault = f"{row.asked.student}, {kind} labels: no learning rate succeeded at any size"
    return f"{fault}; first reason: {row.reason}"


def chosen_for(
    choices: Iterable[ChosenHyperparameters], student: str, labels: str, samples: int
) -> ChosenHyperparameters:
    """What was chosen at the largest size that is no larger, or else at the smallest.

    Raises
    ------
    InputError
        Where nothing could be chosen at any size.
    """
    mine = [c for c in choices if c.student == student and c.labels == kind_of(labels)]
    if not mine:
        fault = f"{student}, {kind_of(labels)} labels: no learning rate succeeded at any size"
        raise InputError("calibrate", [f"{fault}; the trainings that are kept tell why"])
    below = [choice for choice in mine if choice.samples <= samples]
    if below:
        return max(below, key=lambda choice: choice.samples)
    return min(mine, key=lambda choice: choice.samples)

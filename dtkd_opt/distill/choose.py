"""Learning rate and number of steps, chosen on validation data for hard and soft labels apart.

With the epochs given, the batch size decides the number of steps; so the training costs the same
cycles whatever is chosen. Seeds and split are others than those of the table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from dtkd_opt.calibration import Choice
from dtkd_opt.distill.jobs import Training
from dtkd_opt.errors import InputError

Kind = Literal["hard", "soft"]
Cell = tuple[str, Kind, int]  # student, labels, samples
Setting = tuple[float, int]  # learning rate, batch size


def kind_of(labels: str) -> Kind:
    """Runs on the device and at the server both have soft labels, and share what is chosen."""
    return "hard" if labels == "hard" else "soft"


def choose(rows: Iterable[Training]) -> list[Choice]:
    """The setting with the best mean validation accuracy for each student, labels and size.

    Settings with which a training diverged are out; of equal ones the first counts.

    Raises
    ------
    InputError
        Where no setting is left.
    """
    found: dict[Cell, dict[Setting, list[float | None]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        job = row.asked
        setting = (job.recipe.learning_rate, job.recipe.batch_size)
        found[job.student, kind_of(job.labels), job.samples][setting].append(row.accuracy)
    return [_best(cell, settings) for cell, settings in found.items()]


def _best(cell: Cell, settings: Mapping[Setting, Sequence[float | None]]) -> Choice:
    student, labels, samples = cell
    means = {
        setting: float(np.mean([value for value in values if value is not None]))
        for setting, values in settings.items()
        if None not in values
    }
    if not means:
        fault = f"{student}, {samples} samples, {labels} labels: no training succeeded; the runs "
        raise InputError("calibrate", [f"{fault}tell why, such as a learning rate too high"])
    learning_rate, batch_size = max(means, key=lambda setting: means[setting])
    return Choice(
        student=student,
        labels=labels,
        samples=samples,
        learning_rate=learning_rate,
        batch_size=batch_size,
        accuracy=round(means[learning_rate, batch_size], 6),
    )


def chosen_for(choices: Iterable[Choice], student: str, labels: str, samples: int) -> Choice:
    """What was chosen at the largest size that is no larger, or else at the smallest."""
    mine = [c for c in choices if c.student == student and c.labels == kind_of(labels)]
    below = [choice for choice in mine if choice.samples <= samples]
    if below:
        return max(below, key=lambda choice: choice.samples)
    return min(mine, key=lambda choice: choice.samples)

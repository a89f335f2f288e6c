"""Learning rate and batch size, chosen on validation data, separately for hard and soft labels.

With the epochs given, the batch size decides the number of steps; so a training costs the same
cycles whatever is chosen. Seeds and split are others than those of the calibration.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from dtkd_opt.distill.fit import DIGITS
from dtkd_opt.distill.jobs import TrainingRow
from dtkd_opt.errors import InputError
from dtkd_opt.records.calibration import ChosenHyperparameters, Labels


def kind_of(labels: str) -> Labels:
    """Both places distil from soft labels and share their hyperparameters."""
    return "hard" if labels == "hard" else "soft"


def select_hyperparameters(rows: Iterable[TrainingRow]) -> list[ChosenHyperparameters]:
    """The hyperparameters of best mean validation accuracy for each student, labels and size.

    Those with which a training diverged do not count; of equal ones the first does. A size at which
    none is left is skipped.
    """
    by_key: dict[tuple[str, Labels, int], dict[tuple[float, int], list[TrainingRow]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        spec, config = row.spec, row.spec.config
        tried = by_key[spec.student, kind_of(spec.labels), spec.samples]
        tried[config.learning_rate, config.batch_size].append(row)
    choices = []
    for (student, labels, samples), tried in by_key.items():
        means = {pair: _mean_accuracy(trainings) for pair, trainings in tried.items()}
        if succeeded := {pair: mean for pair, mean in means.items() if mean is not None}:
            (learning_rate, batch_size), mean = max(succeeded.items(), key=lambda item: item[1])
            choice = ChosenHyperparameters(
                student=student,
                labels=labels,
                samples=samples,
                learning_rate=learning_rate,
                batch_size=batch_size,
                accuracy=round(mean, DIGITS),
            )
            choices.append(choice)
    return choices


def _mean_accuracy(rows: Sequence[TrainingRow]) -> float | None:
    """Of the trainings that succeeded; None if none did, or one diverged."""
    values = [row.accuracy for row in rows if row.accuracy is not None]
    if not values or any(row.outcome == "diverged" for row in rows):
        return None
    return math.fsum(values) / len(values)


def excluded(rows: Iterable[TrainingRow]) -> list[TrainingRow]:
    """The first failed training of each student that has no hyperparameters for some labels."""
    rows = tuple(rows)
    chosen = {(choice.student, choice.labels) for choice in select_hyperparameters(rows)}
    failed: dict[str, TrainingRow] = {}
    for row in rows:
        student = row.spec.student
        if row.outcome != "done" and (student, kind_of(row.spec.labels)) not in chosen:
            failed.setdefault(student, row)
    return list(failed.values())


def exclusion_reason(row: TrainingRow) -> str:
    """Why a student is excluded, from its row of :func:`excluded`."""
    return f"{_no_success(row.spec.student, row.spec.labels)}; first reason: {row.reason}"


def _no_success(student: str, labels: str) -> str:
    return f"{student}, {kind_of(labels)} labels: no learning rate succeeded at any size"


def hyperparameters_for(
    choices: Iterable[ChosenHyperparameters], student: str, labels: str, samples: int
) -> ChosenHyperparameters:
    """What was chosen at the largest size that is no larger, or else at the smallest.

    Raises
    ------
    InputError
        Where nothing could be chosen at any size.
    """
    matching = [c for c in choices if c.student == student and c.labels == kind_of(labels)]
    if not matching:
        fault = f"{_no_success(student, labels)}; the journal of the trainings has the reasons"
        raise InputError("calibrate", [fault])
    return min(matching, key=lambda c: (c.samples > samples, abs(c.samples - samples)))

"""Hyperparameters: the best mean of those that never diverged, and students that always do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import dtkd_opt as do
from dtkd_opt.distill.jobs import VERSION, TrainingRow, TrainingSpec
from dtkd_opt.distill.select_hyperparameters import (
    exclusion_reason,
    hyperparameters_for,
    select_hyperparameters,
)
from dtkd_opt.distill.training import TrainConfig
from tests.support.calibrating import quick


def row(rate: float, seed: int, accuracy: float | None, **change: Any) -> TrainingRow:
    job = {
        "data": "digits", "data_sha256": "d", "student": "mlp16", "labels": "server",
        "samples": 100, "seed": seed, "scored_on": "validation",
        "config": TrainConfig(learning_rate=rate), "partition": "iid", "fresh_fraction": 0.0,
        "teacher_sha256": "t", "device": "cpu", "version": VERSION,
    }  # fmt: skip
    outcome = "diverged" if accuracy is None else "done"
    return TrainingRow(spec=TrainingSpec(**job | change), outcome=outcome, accuracy=accuracy)


def test_choice_is_the_best_mean_of_what_never_diverged() -> None:
    rows = [
        row(0.1, 0, 0.99), row(0.1, 1, None), row(0.01, 0, 0.7), row(0.01, 1, 0.8),
        row(0.001, 0, 0.9), row(0.001, 1, 0.5), row(0.02, 0, 0.6, labels="hard"),
        row(0.03, 0, 0.6, samples=300), row(0.1, 0, None, samples=1000),
    ]  # fmt: skip
    found = {
        (c.labels, c.samples): (c.learning_rate, c.accuracy) for c in select_hyperparameters(rows)
    }
    assert found == {("soft", 100): (0.01, 0.75), ("hard", 100): (0.02, 0.6),
                     ("soft", 300): (0.03, 0.6)}  # fmt: skip
    choices = select_hyperparameters(rows)
    for labels, size, rate in (
        ("device", 100, 0.01), ("server", 299, 0.01), ("server", 3000, 0.03), ("hard", 20, 0.02),
    ):  # fmt: skip
        assert hyperparameters_for(choices, "mlp16", labels, size).learning_rate == rate
    with pytest.raises(do.InputError, match="cnn_m, soft labels: no learning rate succeeded"):
        hyperparameters_for(choices, "cnn_m", "device", 100)


def test_a_student_that_always_diverges_is_left_out(cache: Path, tmp_path: Path) -> None:
    """A huge rate is too much for convolutions, whose gradients grow, not for one linear layer."""
    found = quick(
        cache, students=["logreg", "cnn_m"], sizes=[120], settings={"learning_rates": (1e25,)},
        output=tmp_path / "t.json",
    )  # fmt: skip
    assert found.calibration is not None
    assert [model.name for model in found.calibration.models] == ["logreg"]
    assert {row.spec.student for row in found.trainings} == {"logreg"}
    assert [(row.spec.student, row.outcome) for row in found.failures] == [("cnn_m", "diverged")]
    page = (tmp_path / "t.md").read_text()
    assert f"- {exclusion_reason(found.failures[0])}\n" in page
    assert found.failures[0].reason
    assert do.read_calibration(tmp_path / "t.json") == found.calibration

"""The files of a federation: users.csv, figures, summary."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import dtkd_opt as do
from dtkd_opt.federation.report import summary
from tests.support.federating import (
    FILES,
    instance,
    users,
)


def test_files_and_figures(unbroken: Path, solution: do.Solution) -> None:
    assert sorted(os.listdir(unbroken)) == FILES
    found = users(unbroken)
    assert set(found.outcome) == {"done"}
    assert found.predicted_accuracy.to_numpy() == pytest.approx(solution.users.accuracy)
    assert found.delay_s.to_numpy() == pytest.approx(solution.users.delay_s)
    pieces = found[["upload_s", "label_s", "train_s", "download_s"]].sum(axis=1)
    assert pieces.to_numpy() == pytest.approx(solution.users.delay_s)
    assert found.realised_accuracy.min() > 0.3  # a guess is right one time in ten
    assert (449 * found.realised_accuracy % 1).to_numpy() == pytest.approx(0, abs=1e-9)
    page = (unbroken / "summary.md").read_text()
    assert (
        f"| {found.predicted_accuracy.mean():.2%} | {found.realised_accuracy.mean():.2%} |" in page
    )
    assert "Calibration's" not in page
    assert "No calibration was given" in page


def test_sent_bits_are_those_that_the_plan_counts(unbroken: Path) -> None:
    """Within 2 %: each of the digits of 512 bits goes up with a byte of label."""
    found = users(unbroken)
    assert found.down_bits.tolist() == found.planned_down_bits.tolist()
    assert found.up_bits.tolist() == (found.planned_up_bits * (512 + 8) / 512).tolist()
    assert found.up_bits.sum() == pytest.approx(found.planned_up_bits.sum(), rel=0.02)
    assert found.up_bits.tolist() == [120 * 520, 0, 0, 0]
    assert found.down_bits[[1, 3]].tolist() == [90 * 320, 0]
    assert min(found.down_bits[[0, 2]]) > 0


def test_the_summary_says_that_samples_are_whole(cache: Path) -> None:
    odd = instance("logreg", shares=((60, 0.5, "server"), (91, 0.5, "server")), epochs=1)
    spec = do.FederationSpec(cache=cache, jobs=1)
    found = do.federate(odd, do.solve(odd, "all-server"), spec)  # a result has a solution
    sentence = "samples are whole (u1: 46 fresh ones for 45.5 planned)."
    assert sentence in summary(found)
    assert found.users.up_bits[1] == 46 * 520

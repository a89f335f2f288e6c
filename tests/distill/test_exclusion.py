"""Students without a result, and no cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

import dtkd_opt as do
from dtkd_opt.distill.select_hyperparameters import (
    exclusion_reason,
)
from tests.support.calibrating import quick


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


def test_no_student_left_tells_the_first_reason(cache: Path) -> None:
    with pytest.raises(do.InputError, match=r"logreg, hard labels: .* first reason: .*class \d"):
        quick(cache, sizes=[5])
    with pytest.raises(do.InputError, match=r"run of each kind; first reason: .* of the 25"):
        quick(cache, seeds=1, sizes=[25])  # seed 0 lacks a class, that to choose by does not


@pytest.mark.parametrize(
    ("address", "said"), [("foo", "is no address"), ("127.0.0.1:1", "no scheduler answers")]
)
def test_without_a_cluster_nothing_is_written(
    address: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dtkd_opt.runtime.workers._TIMEOUT_S", 1.0)
    with pytest.raises(do.InputError, match=f"--dask {address}: {said}"):
        quick(tmp_path / "cache", dask=address, output=tmp_path / "new" / "t.json")
    assert list(tmp_path.iterdir()) == []

"""The page of Markdown beside a calibration."""

from __future__ import annotations

from pathlib import Path

from dtkd_opt.distill.build_calibration import curve_statistics
from dtkd_opt.distill.summary import summary
from dtkd_opt.records.calibration import AccuracyCurve
from tests.records.test_calibration import make_calibration
from tests.support.calibrating import quick


def test_half_of_an_interval_that_is_cut_at_0() -> None:
    """t(0.975, 1) is 12.7062, and √2 of it times the spread of two values."""
    statistics = curve_statistics([100], [[0.1, 0.3]])
    assert statistics[0].lower95 == 0.0
    curve = AccuracyCurve(student="mlp16", labels="hard", cells=statistics, fit=None)
    calibration = make_calibration()
    page = summary(calibration.replace(curves=(*calibration.curves, curve)), [])
    assert "| mlp16 | hard | 20.00 ± 127.06 |" in page


def test_the_summary_tells_where_choices_are_weak(cache: Path) -> None:
    found = quick(
        cache, sizes=[100, 200], settings={"learning_rates": (1e-8, 1e-7, 1e-2)}, seeds=1
    )  # fmt: skip
    assert found.calibration is not None
    page = summary(found.calibration, (*found.selection, *found.trainings))
    assert (
        "Of 2 choices 2 are at an end of the grid: the largest learning rate tried, 0.01." in page
    )
    assert "With 200 samples nothing was tried: it takes what 100 chose." in page
    assert "batch size tried" not in page  # one alone has no ends

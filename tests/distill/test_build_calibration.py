"""Statistics of curves: lower ends, intervals, shipped calibrations; students without a result."""

from __future__ import annotations

from pathlib import Path

import pytest

import dtkd_opt as do
from dtkd_opt.distill.build_calibration import curve_statistics
from dtkd_opt.distill.summary import summary
from dtkd_opt.records.calibration import AccuracyCurve
from tests.records.test_calibration import make_calibration
from tests.support.calibrating import quick
from tests.support.paths import INSTANCES

CALIBRATION = INSTANCES.parent / "experiments" / "calibration"


def test_shipped_tables_use_the_lower_ends_as_defined() -> None:
    for name in ("digits", "fashion-mnist"):
        table = do.read_calibration(CALIBRATION / f"{name}.json")
        for curve in table.curves:
            lows = [entry.lower95 for entry in curve.cells]
            expected = [min(lows[i:]) for i in range(len(lows))]
            assert [entry.used_lower95 for entry in curve.cells] == expected


def test_lower_ends_in_use_are_never_higher_than_found() -> None:
    spread, sure = [0.6, 0.9, 0.9], [0.78, 0.79, 0.8]
    statistics = curve_statistics([100, 300, 1000], [sure, spread, sure])
    lows = [entry.lower95 for entry in statistics]
    assert lows[0] > lows[1] < lows[2]
    assert [entry.used_lower95 for entry in statistics] == [lows[1], lows[1], lows[2]]
    curve = AccuracyCurve(student="mlp16", labels="hard", cells=statistics, fit=None)
    calibration = make_calibration()
    page = summary(calibration.replace(curves=(*calibration.curves, curve)), [])
    assert f"100 samples: used {lows[1]:.6f} for the lower end {lows[0]:.6f}" in page


def test_no_student_left_tells_the_first_reason(cache: Path) -> None:
    with pytest.raises(do.InputError, match=r"logreg, hard labels: .* first reason: .*class \d"):
        quick(cache, sizes=[5])
    with pytest.raises(do.InputError, match=r"run of each kind; first reason: .* of the 25"):
        quick(cache, seeds=1, sizes=[25])  # seed 0 lacks a class, that to choose by does not

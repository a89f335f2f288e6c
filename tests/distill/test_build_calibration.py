"""The cells of curves: lower ends, intervals, shipped calibrations."""

from __future__ import annotations

import dtkd_opt as do
from dtkd_opt.distill.build_calibration import curve_cells
from dtkd_opt.distill.summary import summary
from dtkd_opt.records.calibration import AccuracyCurve
from tests.records.test_calibration import some_table
from tests.support.paths import INSTANCES

CALIBRATION = INSTANCES.parent / "experiments" / "calibration"


def test_shipped_tables_use_the_lower_ends_as_defined() -> None:
    for name in ("digits", "fashion-mnist"):
        table = do.read_calibration(CALIBRATION / f"{name}.json")
        for curve in table.curves:
            lows = [cell.lower95 for cell in curve.cells]
            expected = [min(lows[i:]) for i in range(len(lows))]
            assert [cell.used_lower95 for cell in curve.cells] == expected


def test_lower_ends_in_use_are_never_higher_than_found() -> None:
    spread, sure = [0.6, 0.9, 0.9], [0.78, 0.79, 0.8]
    cells = curve_cells([100, 300, 1000], [sure, spread, sure])
    lows = [cell.lower95 for cell in cells]
    assert lows[0] > lows[1] < lows[2]
    assert [cell.used_lower95 for cell in cells] == [lows[1], lows[1], lows[2]]
    curve = AccuracyCurve(student="mlp16", labels="hard", cells=cells, fit=None)
    calibration = some_table()
    page = summary(calibration.replace(curves=(*calibration.curves, curve)), [])
    assert f"100 samples: used {lows[1]:.6f} for the lower end {lows[0]:.6f}" in page

"""Intervals, curves that do not fall, the power law."""

from __future__ import annotations

import numpy as np
import pytest

from dtkd_opt.distill.fit import mean_interval, non_decreasing, power_law

SIZES = (100, 300, 1000, 3000)


def test_interval_is_students() -> None:
    """t(0.975, 4) is 2.776 in every table; the values' variance is 2.5."""
    mean, std, low, high = mean_interval([0.1, 0.2, 0.3, 0.4, 0.5])
    assert (mean, std) == (0.3, pytest.approx(np.sqrt(0.025), abs=1e-6))
    half = 2.776 * np.sqrt(0.025) / np.sqrt(5)
    assert (low, high) == pytest.approx((0.3 - half, 0.3 + half), rel=1e-3)
    assert mean_interval([0.25]) == (0.25, None, None, None)


def test_what_falls_is_levelled_by_weight() -> None:
    assert non_decreasing([0.7, 0.8, 0.74, 0.9], [5, 5, 5, 5]) == [0.7, 0.77, 0.77, 0.9]
    assert non_decreasing([0.8, 0.74], [1, 5]) == [0.75, 0.75]
    assert non_decreasing([0.7, 0.8], [1, 1]) == [0.7, 0.8]


@pytest.mark.parametrize(("a", "b", "c"), [(0.9, 0.9, 0.35), (0.99, 5.0, 0.8), (0.6, 0.3, 0.1)])
def test_power_law_is_found_again(a: float, b: float, c: float) -> None:
    means = [a - b * size**-c for size in SIZES]
    fit = power_law(SIZES, means)
    assert fit is not None
    assert (fit.a, fit.b, fit.c) == pytest.approx((a, b, c), rel=1e-3)
    assert fit.fitted == pytest.approx(means, abs=1e-5)
    assert max(map(abs, fit.residuals)) < 1e-5


def test_power_law_of_noise_and_of_few_sizes() -> None:
    falling = power_law(SIZES, [0.9, 0.8, 0.7, 0.6])
    assert falling is not None
    assert falling.fitted == pytest.approx([0.75] * 4, abs=2e-3)  # it cannot fall
    assert falling.residuals == pytest.approx([0.15, 0.05, -0.05, -0.15], abs=2e-3)
    assert power_law(SIZES[:3], [0.7, 0.8, 0.9]) is None

"""Statistics over seeds and sizes: intervals, curves that do not fall, the saturating power law."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dtkd_opt.records.arrays import Array
from dtkd_opt.records.calibration import PowerLaw

DIGITS = 6  # of a calibration's figures
MIN_SIZES = 4  # of a power law: its three parameters go through any three points
_MAX_C = 3.0

Interval = tuple[float, float | None, float | None, float | None]


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean, standard deviation and the 95 % interval of the mean by Student's t.

    x̄ ± t(0.975, n − 1) s / √n; all but the mean are None of a single value.
    """
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return round(mean, DIGITS), None, None, None
    std = float(np.std(values, ddof=1))
    low, high = _t_interval(mean, std, len(values))
    return round(mean, DIGITS), round(std, DIGITS), round(low, DIGITS), round(high, DIGITS)


def half_width(std: float, count: int) -> float:
    """Half of the 95 % interval of the mean of n ≥ 2 values of standard deviation `std`."""
    return _t_interval(0.0, std, count)[1]


def _t_interval(mean: float, std: float, count: int) -> tuple[float, float]:
    from scipy.stats import t

    if std == 0:  # for which SciPy has no distribution
        return mean, mean
    low, high = t.interval(0.95, count - 1, mean, std / math.sqrt(count))
    return float(low), float(high)


def non_decreasing(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The nearest non-decreasing values, in weighted least squares (isotonic regression)."""
    from scipy.optimize import isotonic_regression

    fitted = isotonic_regression(values, weights=weights, increasing=True).x
    return [round(float(value), DIGITS) for value in fitted]


def power_law(samples: Sequence[int], means: Sequence[float]) -> PowerLaw | None:
    """The best a − b D^−c in least squares, a ≤ 1 and b ≥ 0; None of fewer than four sizes.

    Learning curves saturate so: Hestness et al., "Deep learning scaling is predictable,
    empirically", 2017.

    Parameters
    ----------
    samples, means
        Sizes D and mean accuracies, (n,) each.
    """
    if len(samples) < MIN_SIZES:
        return None
    from scipy.optimize import least_squares

    size, mean = np.array(samples, float), np.array(means)
    scale = float(size.min())  # b is fitted at the smallest size, where it is the distance to a
    a = min(0.999, float(mean.max()) + 0.02)
    start = (a, max(a - float(mean[0]), 1e-3), 0.5)

    def curve(at: Array) -> Array:
        return np.asarray(at[0] - at[1] * (size / scale) ** -at[2])

    bounds = ((0.0, 0.0, 1e-3), (1.0, 1.0, _MAX_C))
    best = least_squares(lambda at: curve(at) - mean, start, bounds=bounds, xtol=1e-12, ftol=1e-12)
    fitted = [round(float(value), DIGITS) for value in np.clip(curve(best.x), 0, 1)]
    coefficients = best.x[0], best.x[1] * scale ** best.x[2], best.x[2]
    a, b, c = (float(f"{value:.6g}") for value in coefficients)
    return PowerLaw(
        a=a,
        b=b,
        c=c,
        fitted=tuple(fitted),
        residuals=tuple(round(m - f, DIGITS) for m, f in zip(means, fitted, strict=True)),
    )

"""The universal uplink curve: one function for every upload, of any user to any server.

With b = γ z the upload of L bits takes L / r_ul(b) = (L / γ) φ(z), where

    φ(z) = 1 / (z log2(1 + 1 / z))

falls from infinity to ln 2. Every priced upload is thus one fixed function of one number:
min_b L / r_ul(b) + μ b = (L / γ) min_z φ(z) + c z with c = μ γ² / L. All functions work on
log z, so that channel gains over many orders of magnitude are as accurate as ordinary ones.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from dtkd_opt.problem.physics import LN2
from dtkd_opt.records.arrays import Array

_MAX_STEPS = 50
_SERIES = 0.02  # below this argument, series: the closed forms would cancel
_MAX_LOG_C, _PER_UNIT = 80.0, 32  # the interpolated curve: range of |log c|, points per unit


def phi(log_z: Array) -> Array:
    """φ(z), the delay in units of L / γ; never below ln 2."""
    return LN2 * (1 + phi_excess(np.exp(-log_z)))


def phi_slope(w: Array) -> Array:
    """-dφ / d log z = ln 2 · H · w at w = 1 / z."""
    return LN2 * _curvature(w)[0] * w


def phi_excess(w: Array) -> Array:
    """φ(z) / ln 2 - 1 = w / ln(1 + w) - 1 at w = 1 / z, to full relative accuracy."""
    x = np.minimum(w, _SERIES)
    below = x / 2 - x**2 / 3 + x**3 / 4 - x**4 / 5 + x**5 / 6 - x**6 / 7 + x**7 / 8 - x**8 / 9
    with np.errstate(invalid="ignore"):
        return np.where(w < _SERIES, below / (1 - below), w / np.log1p(w) - 1)


def _curvature(w: Array) -> tuple[Array, Array]:
    """H(l) = (exp(-l) - 1 + l) / l² and H'(l) at l = ln(1 + w); -φ'(z) z² = ln 2 · H(l)."""
    length = np.log1p(w)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        value = (np.expm1(-length) + length) / length**2
        slope = (-np.expm1(-length) / length - 2 * value) / length
    small = length < _SERIES
    x = np.where(small, length, 0.0)
    series = 1 / 2 - x / 6 + x**2 / 24 - x**3 / 120 + x**4 / 720 - x**5 / 5040 + x**6 / 40320
    series_slope = -1 / 6 + x / 12 - x**2 / 40 + x**3 / 180 - x**4 / 1008 + x**5 / 6720
    return np.where(small, series, value), np.where(small, series_slope, slope)


def priced_minimiser(log_c: Array) -> tuple[Array, Array]:
    """Minimiser of φ(z) + c z, by Newton's method on 2 log z = log(ln 2 · H / c).

    From the logarithm of the scaled price c = μ γ² / L, in any shape: log z, and its derivative
    with respect to log c (between -1 and -1/2).
    """
    log_c = np.asarray(log_c, float)
    return _minimiser_from(interpolated_minimiser(log_c), log_c)


def _minimiser_from(log_z: Array, log_c: Array) -> tuple[Array, Array]:
    """As :func:`priced_minimiser`, from a first log z: Newton's steps converge from anywhere."""
    for _ in range(_MAX_STEPS):
        step, slope = _newton(log_z, log_c)
        log_z = log_z - step
        if np.abs(step).max(initial=0.0) <= 1e-9:  # quadratic: the next step is below rounding
            break
    return log_z, -1 / slope


def _newton(log_z: Array, log_c: Array) -> tuple[Array, Array]:
    """The step on 2 log z - log H = log(ln 2 / c), and the slope of its left side."""
    w = np.exp(-log_z)
    value, derivative = _curvature(w)
    slope = 2 + derivative / value * w / (1 + w)
    return (2 * log_z - np.log(value) - np.log(LN2) + log_c) / slope, slope


def interpolated_minimiser(log_c: Array) -> Array:
    """log z of the minimiser of φ(z) + c z to about 1e-10, by cubic Hermite interpolation.

    φ + c z there exceeds its minimum by the error's square: nothing in double precision. Beyond
    |log c| = 80, which only odd instances reach, by Newton's method. On an even grid the cell is
    known without a search, so that this takes less than half as long as SciPy's spline.
    """
    position = np.clip((log_c + _MAX_LOG_C) * _PER_UNIT, 0.0, 2 * _MAX_LOG_C * _PER_UNIT - 1e-9)
    cell = position.astype(np.intp)
    t = position - cell
    cubic = _hermite_cubics()[cell]
    log_z: Array = cubic[..., 0] + t * (cubic[..., 1] + t * (cubic[..., 2] + t * cubic[..., 3]))
    outside = np.abs(log_c) > _MAX_LOG_C
    if outside.any():
        log_z = np.array(log_z)
        log_z[outside] = _minimiser_from(_low_snr_minimiser(log_c[outside]), log_c[outside])[0]
    return log_z


def _low_snr_minimiser(log_c: Array) -> Array:
    """log z as if H were 1/2, its limit where 1 / z vanishes."""
    return np.asarray(0.5 * (np.log(LN2 / 2) - log_c))


@cache
def _hermite_cubics() -> Array:
    """(cells, 4) coefficients of log z between grid points, from values and slopes there."""
    grid = np.arange(-_MAX_LOG_C * _PER_UNIT, _MAX_LOG_C * _PER_UNIT + 1) / _PER_UNIT
    log_z, slope = _minimiser_from(_low_snr_minimiser(grid), grid)
    slope = slope / _PER_UNIT
    step = np.diff(log_z)
    second = 3 * step - 2 * slope[:-1] - slope[1:]
    third = slope[:-1] + slope[1:] - 2 * step
    return np.stack([log_z[:-1], slope[:-1], second, third], axis=1)


def inverse_phi(log_ratio: Array) -> Array:
    """log z at which φ(z) equals a given delay, by Newton's method on log(φ / ln 2 - 1).

    `log_ratio` is log(delay · γ / (L ln 2)); where it is not positive no bandwidth suffices, and
    log z is inf. Above 600, which no instance can ask for, it counts as 600.
    """
    reachable = log_ratio > 0
    target = np.log(np.expm1(np.where(reachable, np.minimum(log_ratio, 600.0), 1.0)))
    log_z = -target
    for _ in range(_MAX_STEPS):
        w = np.exp(-log_z)
        excess = phi_excess(w)
        slope = -phi_slope(w) / (LN2 * excess)
        step = np.clip((np.log(excess) - target) / slope, -4.0, 4.0)
        log_z = log_z - step
        if np.abs(step).max(initial=0.0) <= 1e-10:
            break
    return np.where(reachable, log_z, np.inf)

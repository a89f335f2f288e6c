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

from dtkd_opt.problem.physics import Array

LN2 = float(np.log(2))
_STEPS = 50
_SERIES = 0.02  # below this argument, series: the closed forms would cancel
_REACH, _GRID = 80.0, 32  # the tabulated curve: |log c| up to, points per unit of log c


def phi(log_z: Array) -> Array:
    """φ(z), the delay in units of L / γ; never below ln 2."""
    return LN2 * (1 + excess(np.exp(-log_z)))


def fall(w: Array) -> Array:
    """-dφ / d log z = ln 2 · H · w at w = 1 / z."""
    return LN2 * _curvature(w)[0] * w


def excess(w: Array) -> Array:
    """φ(z) / ln 2 - 1 = w / ln(1 + w) - 1 at w = 1 / z, to full relative accuracy."""
    x = np.minimum(w, _SERIES)
    lost = x / 2 - x**2 / 3 + x**3 / 4 - x**4 / 5 + x**5 / 6 - x**6 / 7 + x**7 / 8 - x**8 / 9
    with np.errstate(invalid="ignore"):
        return np.where(w < _SERIES, lost / (1 - lost), w / np.log1p(w) - 1)


def _curvature(w: Array) -> tuple[Array, Array]:
    """H(l) = (exp(-l) - 1 + l) / l² and H'(l) at l = ln(1 + w); -φ'(z) z² = ln 2 · H(l)."""
    length = np.log1p(w)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        value = (np.expm1(-length) + length) / length**2
        slope = (-np.expm1(-length) / length - 2 * value) / length
    small = length < _SERIES
    x = np.where(small, length, 0.0)
    near = 1 / 2 - x / 6 + x**2 / 24 - x**3 / 120 + x**4 / 720 - x**5 / 5040 + x**6 / 40320
    near_slope = -1 / 6 + x / 12 - x**2 / 40 + x**3 / 180 - x**4 / 1008 + x**5 / 6720
    return np.where(small, near, value), np.where(small, near_slope, slope)


def cheapest(log_c: Array) -> tuple[Array, Array]:
    """Minimiser of φ(z) + c z, by Newton's method on 2 log z = log(ln 2 · H / c).

    Parameters
    ----------
    log_c
        Logarithm of the scaled price c = μ γ² / L, any shape.

    Returns
    -------
    log z and its derivative with respect to log c (between -1 and -1/2).
    """
    log_c = np.asarray(log_c, float)
    log_z = near(log_c)
    for _ in range(_STEPS):
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


def near(log_c: Array) -> Array:
    """log z of the minimiser of φ(z) + c z to about 1e-10, from a table.

    The value there differs from the least by the error's square: nothing in double precision.
    Beyond the table, |log c| > 80, the asymptote is less accurate: φ + c z is still never too low.
    """
    place = np.clip((log_c + _REACH) * _GRID, 0.0, 2 * _REACH * _GRID - 1e-9)
    cell = place.astype(np.intp)
    t = place - cell
    cubic = _table()[cell]
    log_z: Array = cubic[..., 0] + t * (cubic[..., 1] + t * (cubic[..., 2] + t * cubic[..., 3]))
    outside = np.abs(log_c) > _REACH
    if outside.any():
        log_z = np.where(outside, 0.5 * (np.log(LN2 / 2) - log_c), log_z)
    return log_z


@cache
def _table() -> Array:
    """(cells, 4) cubics of log z between grid points, from values and slopes (Hermite)."""
    grid = np.arange(-_REACH * _GRID, _REACH * _GRID + 1) / _GRID
    log_z = 0.5 * (np.log(LN2 / 2) - grid)
    for _ in range(_STEPS):
        step, slope = _newton(log_z, grid)
        log_z = log_z - step
    rise = -1 / slope / _GRID
    climb = np.diff(log_z)
    second = 3 * climb - 2 * rise[:-1] - rise[1:]
    third = rise[:-1] + rise[1:] - 2 * climb
    return np.stack([log_z[:-1], rise[:-1], second, third], axis=1)


def inverse_phi(log_ratio: Array) -> Array:
    """log z at which φ(z) equals a given delay, by Newton's method on log(φ / ln 2 - 1).

    Parameters
    ----------
    log_ratio
        log(delay · γ / (L ln 2)); where it is not positive no bandwidth suffices.

    Returns
    -------
    log z; inf where the delay cannot be reached.
    """
    reachable = log_ratio > 0
    target = np.log(np.expm1(np.where(reachable, np.minimum(log_ratio, 600.0), 1.0)))
    log_z = -target
    for _ in range(_STEPS):
        w = np.exp(-log_z)
        beyond = excess(w)
        slope = -fall(w) / (LN2 * beyond)
        step = (np.log(beyond) - target) / slope
        step = np.clip(step, -4.0, 4.0)
        log_z = log_z - step
        if np.abs(step).max(initial=0.0) <= 1e-10:
            break
    return np.where(reachable, log_z, np.inf)

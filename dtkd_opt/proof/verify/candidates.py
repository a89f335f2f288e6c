"""Where `verify` evaluates its bounds. Nothing here is trusted.

Every bound of `verify` holds at any weight of a deadline, any bandwidth of a tangent and any
proposed minimum share (which is tested before it is used). What is found here, in plain floating
point, decides only how tight the bounds are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dtkd_opt.records.arrays import Array, Mask

MAX_WEIGHT = 1e40  # of a deadline; nothing overflows below it
_LN2 = math.log(2)


@dataclass(frozen=True, eq=False)
class Demand:
    """What K options ask of their server's pools, at its prices; (K,) or (2, K) arrays."""

    bits: Array  # to upload, 0 for none
    snr_hz: Array  # γ
    min_hz: Array  # of the uplink, by the energy budget
    band_hz: Array  # the whole uplink
    uplink_price: Array  # [s/Hz]
    needs: Array  # (2, K) downlink [Hz s] and CPU [cycles]
    pools: Array  # (2, K) the whole pools [Hz, cycles/s]
    prices: Array  # (2, K) [s/Hz, s/(cycle/s)]
    slack_s: Array  # deadline less what the device computes, inf without

    def select_rows(self, rows: Mask) -> Demand:
        """Some of the options."""
        return Demand(**{name: values[..., rows] for name, values in vars(self).items()})


def best_bandwidth(demand: Demand, weight: Array) -> Array:
    """(K,) b [Hz] in [least, band] near the minimiser of W L / r(b) + μ b, rather above it.

    Above, since there the tangent's slope is at least -μ, which is what the bound needs.
    """
    uploads = demand.bits > 0
    with np.errstate(divide="ignore", over="ignore"):
        log_c = np.log(demand.uplink_price) + 2 * np.log(demand.snr_hz)
        log_c -= np.log(np.where(uploads, weight * demand.bits, 1.0))
        log_z = _priced_minimiser(np.clip(log_c, -400.0, 900.0))
        shift = 1 + 1e-14 * (5 + np.exp(np.minimum(log_z, 7.0)))
        bandwidth = demand.snr_hz * np.exp(log_z) * shift
    bandwidth = np.where(demand.uplink_price > 0, bandwidth, np.inf)
    return np.asarray(np.clip(bandwidth, demand.min_hz, demand.band_hz))


def deadline_weight(demand: Demand) -> Array:
    """(K,) W = 1 + θ at which the delay meets the deadline, 1 where it is met anyway.

    The delay falls with W, and its logarithm about linearly with log W: false position, and
    bisection every other time, for where it does not. Where no weight is enough, as a deadline can
    only just be met, it is the one from which on all shares are whole pools.
    """
    weight = np.ones(len(demand.bits))
    late = np.isfinite(demand.slack_s)
    selected = demand.select_rows(late)
    late[late] = _delay(selected, weight[late]) > selected.slack_s
    if not late.any():
        return weight
    demand = demand.select_rows(late)
    target = np.log(np.maximum(demand.slack_s, 1e-300))

    def excess(log_weight: Array) -> Array:
        log_delay: Array = np.log(_delay(demand, np.exp(log_weight)))
        return log_delay - target

    low, high = np.zeros(len(target)), np.log(_max_weight(demand))
    f_low, f_high = excess(low), excess(high)
    for step in range(120):
        with np.errstate(divide="ignore", invalid="ignore"):
            middle = (low * f_high - high * f_low) / (f_high - f_low)
        inside = (middle > low) & (middle < high) & (step % 2 == 0)
        middle = np.where(inside, middle, (low + high) / 2)
        value = excess(middle)
        still_late = value > 0
        # the end that stays counts for half (Illinois), so that both ends move
        f_high = np.where(still_late, f_high / 2, value)
        f_low = np.where(still_late, value, f_low / 2)
        low, high = np.where(still_late, middle, low), np.where(still_late, high, middle)
        if (high - low < 1e-8).all():
            break
    weight[late] = np.exp(high)
    return weight


def _max_weight(demand: Demand) -> Array:
    """(K,) W ≥ 1 from which on all shares are whole pools: what they cost over what they save."""
    w = demand.snr_hz / demand.band_hz
    _, log1p, curvature = _terms(-np.log(w))
    with np.errstate(divide="ignore", invalid="ignore"):
        saved = demand.bits * _LN2 / demand.band_hz * curvature / log1p**2
        uplink = demand.uplink_price * demand.band_hz / saved
        others = demand.prices * demand.pools**2 / demand.needs
    uplink = np.where(demand.bits > 0, uplink, 0.0)
    others = np.where(demand.needs > 0, others, 0.0)
    return np.asarray(np.clip(np.maximum(uplink, others.max(axis=0)), 1.0, MAX_WEIGHT))


def min_bandwidth(bits: Array, snr_hz: Array, longest_s: Array) -> Array:
    """(K,) about the b [Hz] at which the upload takes as long as it may; 0 where any b will do."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = longest_s * snr_hz / (bits * _LN2)  # 1 / (z ln(1 + 1/z)), above 1
        bounded = np.isfinite(ratio) & (ratio > 1)
        target = np.log(np.where(bounded, ratio - 1, 1.0))
        log_z = -target
        for _ in range(30):
            w, log1p, curvature = _terms(log_z)
            rest = np.where(w < 1e-4, w * w / 2 - w**3 / 3, w - log1p) / log1p
            step = (np.log(rest) - target) * rest * log1p**2 / (w * curvature)
            log_z = np.clip(log_z + step, -600.0, 200.0)
            if np.abs(step[bounded]).max(initial=0.0) < 1e-15:
                break
        return np.asarray(np.where(bounded, snr_hz * np.exp(log_z), 0.0))


def _delay(demand: Demand, weight: Array) -> Array:
    """(K,) delay in the pools [s] with the shares that the prices and the weight ask for."""
    b = best_bandwidth(demand, weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        upload = demand.bits * _LN2 / (b * np.log1p(demand.snr_hz / b))
        share = np.minimum(np.sqrt(weight * demand.needs / demand.prices), demand.pools)
        rest = demand.needs / share
    upload = np.where(demand.bits > 0, upload, 0.0)
    rest = np.where(demand.needs > 0, rest, 0.0).sum(axis=0)
    return np.asarray(np.maximum(upload + rest, 1e-300))


def _terms(log_z: Array) -> tuple[Array, Array, Array]:
    """w = 1/z, ln(1 + w), and ln(1 + w) - w / (1 + w) without cancellation."""
    w = np.exp(-log_z)
    log1p = np.log1p(w)
    series = w * w * (1 / 2 - w * (2 / 3 - w * (3 / 4 - w * (4 / 5 - w * 5 / 6))))
    return w, log1p, np.where(w < 1e-3, series, log1p - w / (1 + w))


def _priced_minimiser(log_c: Array) -> Array:
    """log z at which 1 / (z log2(1 + 1/z)) falls with slope c: Newton on its logarithm."""
    log_z = -(math.log(2 / _LN2) + log_c) / 2
    for _ in range(12):
        w, log1p, curvature = _terms(log_z)
        residual = math.log(_LN2) + np.log(curvature) - 2 * log_z - 2 * np.log(log1p) - log_c
        part = w / (1 + w)
        step = residual / (part**2 / curvature + 2 - 2 * part / log1p)
        log_z = log_z + step
        if np.abs(step).max(initial=0.0) < 1e-15:
            break
    return log_z

"""Lagrangian values of an allocation by plain formulas, apart from those of the package."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq, minimize_scalar

import dtkd_opt as do
from dtkd_opt.problem.options import Options
from dtkd_opt.records.arrays import Index


def upload_delay(options: Options, k: int, log_b: float) -> float:
    """L / r_ul(b) [s] of option k at b = exp(log_b)."""
    b = np.exp(log_b)
    return float(options.uplink_bits[k] * np.log(2) / (b * np.log1p(options.uplink_snr_hz[k] / b)))


def share_for_delay(options: Options, k: int, delay: float) -> float:
    """log of the uplink band [Hz] at which option k uploads in a given time."""
    centre = float(np.log(options.uplink_snr_hz[k]))
    log_b: float = brentq(
        lambda x: np.log(upload_delay(options, k, x) / delay), centre - 80, centre + 30, xtol=1e-13
    )
    return log_b


def priced_upload(options: Options, k: int, price: float, weight: float) -> float:
    """min weight · L / r(b) + price · b, the upload's limit kept."""
    centre = float(np.log(options.uplink_snr_hz[k]))
    low, high = centre - 60, centre + 30
    if np.isfinite(options.uplink_limit_s[k]):
        low = share_for_delay(options, k, float(options.uplink_limit_s[k]))

    def cost(log_b: float) -> float:
        return weight * upload_delay(options, k, log_b) + price * float(np.exp(log_b))

    inner = minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-9})
    return min(float(inner.fun), cost(low))


def dual_value(options: Options, choice: Index, allocation: do.Allocation) -> float:
    """Σ_n min_x [ w_n T_n(x) + λ x ] - (w_n - 1) T_n^max - λ C: at most the least total delay."""
    total = -float((allocation.prices * options.capacity).sum())
    for n, k in enumerate(choice):
        price = allocation.prices[:, options.server[k]]
        weight = float(allocation.weight[n])
        total += weight * float(options.device_delay_s[k])
        total += 2 * float(np.sqrt(weight * price[1:] * options.needs[1:, k]).sum())
        if options.uplink_bits[k]:
            total += priced_upload(options, int(k), float(price[0]), weight)
        if weight > 1:
            total -= (weight - 1) * float(options.deadline_s[k])
    return total

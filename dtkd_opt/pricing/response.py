"""The response of each option to the pools' prices: the shares that it buys, and their cost.

For prices λ of its server's three pools an option buys the shares x that minimise

    T(x) + λ · x    subject to    T(x) ≤ T_max   and   upload delay ≤ E / p.

Downlink and CPU are closed forms, √(need / λ); the uplink is the universal curve. A binding
deadline multiplies the delay by a weight 1 + θ, one scalar root per option; the upload limit is a
lower bound of the share. The same code, with a weight that may fall to zero, gives the cheapest
shares that keep the limits at all: what proves a choice infeasible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dtkd_opt.pricing import uplink
from dtkd_opt.problem.options import Options
from dtkd_opt.problem.physics import LN2
from dtkd_opt.records.arrays import Array, Index

_MAX_STEPS = 60


@dataclass(frozen=True, eq=False)
class Response:
    """What K options buy at given prices."""

    cost: Array  # (K,) delay + λ · shares [s]; without the error's cost
    delay: Array  # (K,) T_n [s]
    shares: Array  # (3, K) [Hz, Hz, cycles/s]
    weight: Array  # (K,) 1 + θ of the deadline, or 1
    elasticity: Array  # (3, K) d log share / d log(λ / weight); 0 where a limit holds the share


class _Delays(NamedTuple):
    pools: Array  # (3, K) delay in each pool [s]
    log_z: Array  # (K,) uplink share, log(b / γ); -inf without an upload
    elasticity: Array  # (3, K)


class _Curves:
    """The options' delays as functions of the weight, at fixed prices."""

    def __init__(self, options: Options, prices: Array):
        self.options, self.needs = options, options.needs
        self.prices = prices[:, options.server]
        self.uploads = options.uplink_bits > 0
        bits = np.where(self.uploads, options.uplink_bits, 1.0)
        self.unit_s = np.where(self.uploads, options.uplink_bits / options.uplink_snr_hz, 0.0)
        self.log_c = np.log(self.prices[0]) + 2 * np.log(options.uplink_snr_hz) - np.log(bits)
        self.min_log_z = min_upload_log_shares(options)
        self.base = np.sqrt(self.needs[1:] * self.prices[1:])  # delay at weight 1

    def at(
        self, log_weight: Array, rows: Index | slice = slice(None), *, with_limit: bool = True
    ) -> _Delays:
        """Delays of some options at their weights; -inf is a weight of zero.

        `with_limit`: the upload limit bounds the uplink's share from below.
        """
        uploads = self.uploads[rows]
        min_log_z = self.min_log_z[rows] if with_limit else -np.inf
        log_c = np.clip(self.log_c[rows] - log_weight, -600.0, 600.0)
        log_z, slope = uplink.priced_minimiser(log_c)
        log_z = np.where(np.isneginf(log_weight), -np.inf, log_z)
        at_limit = log_z <= min_log_z
        log_z = np.where(uploads, np.maximum(log_z, min_log_z), -np.inf)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            upload = self.unit_s[rows] * uplink.phi(np.where(uploads, log_z, 0.0))
            rest = self.base[:, rows] * np.exp(-log_weight / 2)
        rest = np.where(self.needs[1:, rows] > 0, rest, 0.0)
        elasticity = np.array(
            [np.where(uploads & ~at_limit, slope, 0.0), *np.where(rest > 0, -0.5, 0.0)]
        )
        return _Delays(np.array([np.where(uploads, upload, 0.0), *rest]), log_z, elasticity)


def min_upload_log_shares(options: Options, rows: Index | slice = slice(None)) -> Array:
    """(K,) log(b / γ) of the smallest uplink share that keeps the upload limit; -inf if none."""
    bits, snr = options.uplink_bits[rows], options.uplink_snr_hz[rows]
    limit = options.uplink_limit_s[rows]
    constrained = np.flatnonzero((bits > 0) & (limit > 0) & np.isfinite(limit))
    log_z = np.full(len(bits), -np.inf)
    fastest = bits[constrained] / snr[constrained] * LN2  # over an infinite band
    log_z[constrained] = uplink.inverse_phi(np.log(limit[constrained] / fastest))
    return log_z


def free_shares(options: Options, prices: Array, min_log_z: Array | float = -np.inf) -> Array:
    """(3, K) shares [Hz, Hz, cycles/s] that K options without a deadline buy, in closed form.

    `prices` (3, S) are positive; `min_log_z` (K,) is of :func:`min_upload_log_shares`, and without
    it no upload limit counts. The uplink's shares are exact to about 1e-10.
    """
    price = prices[:, options.server]
    uploads = options.uplink_bits > 0
    bits = np.where(uploads, options.uplink_bits, 1.0)
    log_z = uplink.interpolated_minimiser(
        np.log(price[0]) + 2 * np.log(options.uplink_snr_hz) - np.log(bits)
    )
    uplink_hz = options.uplink_snr_hz * np.exp(np.maximum(log_z, min_log_z))
    return np.array([np.where(uploads, uplink_hz, 0.0), *np.sqrt(options.needs[1:] / price[1:])])


def respond(options: Options, prices: Array, *, min_cost: bool = False) -> Response:
    """Best shares of every option at given prices.

    Parameters
    ----------
    options
        K options on S servers.
    prices
        (3, S), positive: seconds per Hz, per Hz and per cycle/s.
    min_cost
        Ignore the delay: the cheapest shares that keep deadline and upload limit.

    Returns
    -------
    Response
        With `min_cost`, `cost` is λ · shares alone: a lower bound on what the option must buy.
    """
    curves = _Curves(options, prices)
    log_weight = np.full(len(options), -np.inf if min_cost else 0.0)
    bound = np.isfinite(options.deadline_s) & (options.needs.sum(axis=0) > 0)
    if bound.any():
        rows = np.flatnonzero(bound)
        if not min_cost:
            delay = options.device_delay_s + curves.at(log_weight).pools.sum(axis=0)
            rows = np.flatnonzero(bound & (delay > options.deadline_s))
        log_weight[rows] = _meet_deadlines(curves, rows)
    pools, log_z, elasticity = curves.at(log_weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = np.where(pools[1:] > 0, curves.needs[1:] / pools[1:], 0.0)
    shares = np.array([options.uplink_snr_hz * np.exp(log_z), *rest])
    delay = options.device_delay_s + pools.sum(axis=0)
    weight = np.exp(log_weight)
    # the deadline's multiplier times what is over: zero but for rounding, and with it the cost is
    # a lower bound for any weight (weak duality), however the root search ended
    over = np.zeros(len(options))
    over[bound] = delay[bound] - options.deadline_s[bound]
    cost = (curves.prices * shares).sum(axis=0)
    cost += weight * over if min_cost else delay + (weight - 1) * over
    return Response(cost, delay, shares, weight, elasticity)


def _meet_deadlines(curves: _Curves, rows: Index) -> Array:
    """log(1 + θ) at which each option's delay equals its deadline.

    The upload limit makes the delay the smaller of two: with the upload at its limit, where the
    weight is a closed form, and without the limit. That one is found by Newton's method on the
    logarithm of the delay beyond its limit at infinite shares, almost linear in log(1 + θ).
    """
    options, unit = curves.options, curves.unit_s[rows]
    deadline = options.deadline_s[rows] - options.device_delay_s[rows]
    smallest = np.finfo(float).eps * options.deadline_s[rows]  # what rounding leaves of a deadline
    target = np.log(np.maximum(deadline - unit * LN2, smallest))
    log_weight = np.zeros(len(rows))
    for _ in range(_MAX_STEPS):
        pools, log_z, elasticity = curves.at(log_weight, rows, with_limit=False)
        w = np.exp(-np.where(np.isneginf(log_z), 0.0, log_z))
        rest = pools[1:].sum(axis=0)
        excess = unit * LN2 * uplink.phi_excess(w) + rest
        slope = unit * uplink.phi_slope(w) * -elasticity[0] + rest / 2
        step = (np.log(excess) - target) * excess / slope
        log_weight = log_weight + step
        if np.abs(step).max(initial=0.0) <= 1e-13 * (1 + np.abs(log_weight).max(initial=0.0)):
            break
    slack = deadline - np.where(curves.uploads[rows], options.uplink_limit_s[rows], np.inf)
    with np.errstate(divide="ignore"):
        at_limit = 2 * np.log(curves.base[:, rows].sum(axis=0) / np.maximum(slack, smallest))
    return np.where(slack > 0, np.minimum(log_weight, at_limit), log_weight)

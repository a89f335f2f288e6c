"""Outward-rounded NumPy arithmetic for `verify`: the bounds of `verify` for any number of users.

A term of a Lagrangian is rounded down, a figure of the incumbent up.
**Assumptions.** IEEE 754 doubles rounded to nearest: + - * / and `sqrt` have a relative error of at
most u = 2^-53. `numpy.log1p` is within 4 units in the last place, so 8 u (the tests hold it
against ball arithmetic). Nothing over- or underflows: the instance's numbers lie in [1e-30, 1e30]
(fractions in [1e-12, 1], or 0), whole numbers below 1e15, tangents' bandwidths in [1e-130, 1e30],
weights in [1, 1e40], and prices and shares are first moved to [1e-100, 1e100] or 0, to the safe
side. κ and ρ may be smaller than 1e-30: a term in which κ could vanish is then far below
cycles / f_max, the larger of the two that count.

**Errors** in units of u, to first order (second-order terms are below 1e-28):

| quantity | computed as | error |
|---|---|---|
| bits, cycles | three factors, at most one sum | 3 |
| γ | p g / N0 | 2 |
| downlink work | bits ln2 / log1p(P g / (N0 B)); the argument has 3, log1p 3 + 8 | 17 |
| device delay | max(cycles / f_max, cycles sqrt(κ cycles / E)) | 6 |
| upload T | bits ln2 / (b l), l = log1p(γ / b): the argument has 3, l 11 | 18 |
| elasticity e | 1 - w / ((1 + w) l), w = γ / b: absolute; its series for w < 1e-3: relative | 21 |
| priced upload | W T (1 + e (1 - lo / b)) + μ lo: W 1, T 18, (1 + …) 25, sums and products 3 | 47 |
| priced need | W q / C + ν C, or 2 sqrt(W q ν) | 21 |
| sum of these and W device delay | five terms | + 4 |
| error 1 - a | weight of the table's rows 21, the rest 4; absolute, as a is in [0, 1] | 25 |

log1p's condition number is at most 1 for arguments ≥ 0: arguments' errors are not magnified, nor
those of positive sums. The one difference, the deadline's (W - 1) T_max, is taken of a sum already
rounded down and is itself rounded up; rounding it once more is 1 of the sum. All of this is below
64: SLACK = 64 u is taken off (or added to) every result, relative to the positive terms, and
ρ SLACK for the accuracy: about 7e-15 of a delay.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dtkd_opt.proof.verify import candidates
from dtkd_opt.proof.verify.candidates import Demand
from dtkd_opt.records.accuracy import AccuracyTable
from dtkd_opt.records.arrays import Array, Index, Mask
from dtkd_opt.records.instance import DEVICE, SERVER, Instance

MIN_AMOUNT, MAX_AMOUNT = 1e-100, 1e100
CHUNK = 10_000  # users priced at a time
SLACK = 64 * 2.0**-53
SHRINKS = 10.0 ** np.arange(-15, -5)  # tried on a proposed minimum share until it is proven


def clip_amounts(amounts: Array) -> Array:
    """Prices or shares moved down to what cannot over- or underflow: 0, or 1e-100 to 1e100."""
    return np.where(amounts < MIN_AMOUNT, 0.0, np.minimum(amounts, MAX_AMOUNT))


class Rows(NamedTuple):
    """K combinations of user, model, place and server, (K,) each."""

    user: Index
    model: Index
    place: Index
    server: Index


def reachable_rows(instance: Instance) -> Iterator[Rows]:
    """All combinations in which the user reaches the server, some users at a time."""
    gain, size = instance.users.channel_gain, 2 * len(instance.models)
    for start in range(0, len(gain), CHUNK):
        user, server = np.nonzero(~np.isnan(gain[start : start + CHUNK]))
        model = np.tile(np.repeat(np.arange(len(instance.models)), 2), len(user))
        place = np.tile([DEVICE, SERVER], len(model) // 2)
        yield Rows(np.repeat(user, size) + start, model, place, np.repeat(server, size))


@dataclass(frozen=True, eq=False)
class Needs:
    """What K rows need (formulations/README.md); (K,) each, with the errors of the table above."""

    bits: Array  # uploaded: φ D β at the server
    snr_hz: Array  # γ = p g / N0
    work: Array  # (2, K): downloaded bits over log2(1 + P g / (N0 B)) [Hz s], server cycles
    device_cycles: Array  # E_p D c on the device
    accuracy: Array


def needs_of(instance: Instance, rows: Rows) -> Needs:
    """Bits, cycles and accuracy of every row."""
    task, users, (n, m, _, s) = instance.task, instance.users, rows
    samples, fresh = users.samples[n].astype(float), users.fresh_fraction[n]
    at_server = rows.place == SERVER

    def server(name: str) -> Array:
        return np.array([getattr(edge, name) for edge in instance.servers], float)[s]

    def model(name: str) -> Array:
        return np.array([getattr(student, name) for student in instance.models], float)[m]

    training = samples * float(task.epochs) * model("cycles_per_sample")
    labelling = fresh * samples * task.teacher_cycles_per_sample
    noise, gain = server("noise_w_per_hz"), users.channel_gain[n, s]
    snr = server("tx_power_w") * gain / (noise * server("downlink_hz"))
    download = np.where(at_server, model("bits"), (1 - fresh) * samples * task.bits_per_label)
    return Needs(
        bits=np.where(at_server, fresh * samples * task.bits_per_sample, 0.0),
        snr_hz=users.tx_power_w[n] * gain / noise,
        work=np.array(
            [download * math.log(2) / np.log1p(snr), np.where(at_server, labelling + training, 0.0)]
        ),
        device_cycles=np.where(at_server, 0.0, training),
        accuracy=_accuracy(instance, samples, rows),
    )


def _accuracy(instance: Instance, samples: Array, rows: Rows) -> Array:
    """a(D): piecewise linear in log D, as v0 + ln(D/g0) / ln(g1/g0) (v1 - v0); error 24 u."""
    accuracy = np.empty(len(samples))
    for m, student in enumerate(instance.models):
        for place, values in ((DEVICE, student.accuracy.device), (SERVER, student.accuracy.server)):
            matching = (rows.model == m) & (rows.place == place)
            accuracy[matching] = _interpolate(student.accuracy, np.array(values), samples[matching])
    return accuracy


def _interpolate(accuracy: AccuracyTable, values: Array, samples: Array) -> Array:
    grid = np.array(accuracy.samples)
    if len(grid) == 1:
        return np.full(len(samples), values[0])
    inside = np.clip(samples, grid[0], grid[-1])
    i = np.clip(np.searchsorted(grid, inside, side="right"), 1, len(grid) - 1)
    low, width = grid[i - 1], grid[i] - grid[i - 1]
    weight = np.log1p((inside - low) / low) / np.log1p(width / low)
    return np.asarray(values[i - 1] + weight * (values[i] - values[i - 1]))


def upload_delay(bits: Array, snr_hz: Array, bandwidth_hz: Array) -> Array:
    """bits / (b log2(1 + γ / b)) [s], 0 without bits, inf without bandwidth."""
    with np.errstate(divide="ignore", invalid="ignore"):
        delay = bits * math.log(2) / (bandwidth_hz * np.log1p(snr_hz / bandwidth_hz))
    return np.where(bits > 0, np.where(bandwidth_hz > 0, delay, np.inf), 0.0)


def priced_upload(demand: Demand, weight: Array) -> Array:
    """At most min W T(b) + μ b over b in [lo, hi], but for SLACK; see `verify.priced_upload`."""
    b, lo, hi = candidates.best_bandwidth(demand, weight), demand.min_hz, demand.band_hz
    b = np.maximum(b, 1e-130)
    delay = weight * upload_delay(demand.bits, demand.snr_hz, b)
    e, error = elasticity(demand.snr_hz / b)
    payment = demand.uplink_price * b
    lower = np.minimum(delay * (1 + e), payment * (1 + 1 / (e + error)))
    whole = (b == hi) & (payment * (1 + SLACK) <= delay * (e - error))
    lower = np.where(whole, delay + payment, lower)
    steep = payment * (1 - SLACK) >= delay * (e + error)
    tangent = delay * (1 + e * (1 - lo / b)) + demand.uplink_price * lo
    return np.where(demand.bits > 0, np.where(steep, tangent, lower), 0.0)


def elasticity(w: Array) -> tuple[Array, Array]:
    """e = 1 - w / ((1 + w) ln(1 + w)), and how far off it may be; by series where it cancels."""
    small, x = w < 1e-3, np.minimum(w, 1e-3)
    series = x * (1 / 2 - x * (5 / 12 - x * (3 / 8 - x * (251 / 720 - x * 95 / 288))))
    e = np.where(small, series, 1 - w / ((1 + w) * np.log1p(w)))
    return e, np.where(small, SLACK * e, SLACK)


def priced_need(need: Array, price: Array, pool: Array, weight: Array) -> Array:
    """At most min W q / x + ν x over 0 < x ≤ C, but for SLACK: 2 sqrt(W q ν), or all at x = C."""
    need = weight * need
    whole = price * pool * pool <= need * (1 - SLACK)
    return np.where(whole, need / pool + price * pool, 2 * np.sqrt(need * price))


class Arrays:
    """The arithmetic of `verify` above 10,000 users."""

    def __init__(self, instance: Instance):
        self.instance, self.users = instance, instance.users
        pools = ("uplink_hz", "downlink_hz", "cpu_hz")
        self.capacity = np.array([[getattr(s, p) for s in instance.servers] for p in pools], float)

    def figures(self, choice: Index, shares: Array) -> Array:
        """(4, N) cost, delay, energy and accuracy, rounded to the plan's disfavour.

        Of all users, by (3, N) model, place and server, and (3, N) shares.
        """
        rows = Rows(np.arange(len(self.users)), *choice)
        needs = needs_of(self.instance, rows)
        band, downlink, cpu = clip_amounts(shares)
        upload = upload_delay(needs.bits, needs.snr_hz, band)
        cycles = needs.device_cycles + needs.work[1]  # one of them is zero
        with np.errstate(divide="ignore", invalid="ignore"):
            download = np.where(needs.work[0] > 0, needs.work[0] / downlink, 0.0)
            delay = (upload + download + cycles / cpu) * (1 + SLACK)
        upload_j = self.users.tx_power_w[rows.user] * upload
        compute_j = self.users.kappa[rows.user] * cpu**2 * cycles
        error = self.instance.seconds_per_error * (1 - needs.accuracy + SLACK)
        cost = (delay + error) * (1 + SLACK)
        energy = np.where(rows.place == SERVER, upload_j, compute_j) * (1 + SLACK)
        return np.array([cost, delay, energy, needs.accuracy - SLACK])

    def option_costs(self, prices: Array) -> Array:
        """(N, M, 2, S): rounded down min T(x) + ρ (1 - a) + λ x [s]; inf where impossible."""
        costs = self._full(math.inf)
        for rows in reachable_rows(self.instance):
            needs = needs_of(self.instance, rows)
            demand = self.demand(rows, prices, needs)
            device_s, possible = self._device_delay(needs, rows), ~self._impossible(needs, rows)
            errors = self.instance.seconds_per_error * (1 - needs.accuracy)
            deadline = self.users.deadline_s[rows.user]
            cost = self._lower(demand, errors, device_s, deadline, np.ones(len(errors)))
            weight = candidates.deadline_weight(demand)
            late = weight > 1
            if late.any():  # any weight gives a bound: the better one counts
                given = (errors[late], device_s[late], deadline[late], weight[late])
                cost[late] = np.fmax(cost[late], self._lower(demand.select_rows(late), *given))
            # no cost is negative, and NaN says nothing, so that 0 is all that holds
            costs[rows] = np.where(possible, np.fmax(cost, 0.0), math.inf)
        return costs

    def proposals(self, prices: Array) -> Array:
        """(N, M, 2, S, 4) where `Balls` evaluates its bounds, nothing to be trusted: minimum share
        of the uplink, tangent's bandwidth without a deadline, its weight (1 if met), and with it.
        """
        proposals = self._full(math.nan, 4)
        for rows in reachable_rows(self.instance):
            demand = self.demand(rows, prices)
            weight = candidates.deadline_weight(demand)
            free, constrained = (
                candidates.best_bandwidth(demand, w) for w in (np.ones(len(weight)), weight)
            )
            proposals[rows] = np.array([demand.min_hz, free, weight, constrained]).T
        return proposals

    def _full(self, value: float, *more: int) -> Array:
        """(N, M, 2, S, …) of one value."""
        n, servers = self.users.channel_gain.shape
        return np.full((n, len(self.instance.models), 2, servers, *more), value)

    def _lower(
        self, demand: Demand, errors: Array, device_s: Array, deadline: Array, weight: Array
    ) -> Array:
        """W T + ρ (1 - a) + λ x - (W - 1) T_max at its minimum [s], rounded down."""
        terms = errors + weight * device_s + priced_upload(demand, weight)
        for need, price, pool in zip(demand.needs, demand.prices, demand.pools, strict=True):
            terms = terms + priced_need(need, price, pool, weight)
        credit = np.where(weight > 1, (weight - 1) * np.where(weight > 1, deadline, 0.0), 0.0)
        lower: Array = terms * (1 - SLACK) - credit * (1 + SLACK)
        return lower - self.instance.seconds_per_error * SLACK

    def demand(self, rows: Rows, prices: Array, needs: Needs | None = None) -> Demand:
        """What the rows ask for at (3, S) prices, with a proven minimum share of the uplink."""
        needs, n = needs or needs_of(self.instance, rows), rows.user
        pools, prices = self.capacity[:, rows.server], clip_amounts(prices)[:, rows.server]
        longest = self.users.energy_j[n] / self.users.tx_power_w[n]
        return Demand(
            bits=needs.bits,
            snr_hz=needs.snr_hz,
            min_hz=np.minimum(_min_bandwidth(needs, longest), pools[0]),
            band_hz=pools[0],
            uplink_price=prices[0],
            needs=needs.work,
            pools=pools[1:],
            prices=prices[1:],
            # rounding cannot tell what is hardly late: no weights beyond all measure for it
            slack_s=self.users.deadline_s[n] * (1 + 1e-12) - self._device_delay(needs, rows),
        )

    def _impossible(self, needs: Needs, rows: Rows) -> Mask:
        """Which rows certainly break a limit, even with all pools to themselves."""
        users, n = self.users, rows.user
        pools = self.capacity[:, rows.server]
        upload = upload_delay(needs.bits, needs.snr_hz, pools[0])
        fastest = self._device_delay(needs, rows) + upload + (needs.work / pools[1:]).sum(axis=0)
        impossible: Mask = (
            (needs.accuracy + SLACK < users.min_accuracy[n])
            | (upload * (1 - SLACK) > users.energy_j[n] / users.tx_power_w[n] * (1 + SLACK))
            | (fastest * (1 - SLACK) > users.deadline_s[n])
        )
        return impossible

    def _device_delay(self, needs: Needs, rows: Rows) -> Array:
        """max(cycles / f_max, cycles sqrt(κ cycles / E)) [s]: the minimum within CPU and energy."""
        n, cycles = rows.user, needs.device_cycles
        at_budget = np.sqrt(self.users.kappa[n] * cycles / self.users.energy_j[n])
        return np.maximum(cycles / self.users.cpu_hz[n], cycles * at_budget)


def _min_bandwidth(needs: Needs, longest_s: Array) -> Array:
    """b [Hz] below which an upload certainly takes too long; 0 where that is not proven."""
    proposed = candidates.min_bandwidth(needs.bits, needs.snr_hz, longest_s)
    lower = np.zeros(len(proposed))
    for shrink in SHRINKS[::-1]:
        b = proposed * (1 - shrink)
        delay = upload_delay(needs.bits, needs.snr_hz, b) * (1 - SLACK)
        lower = np.where((b > 1e-130) & (delay >= longest_s * (1 + SLACK)), b, lower)
    return lower

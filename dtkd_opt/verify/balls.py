"""Ball arithmetic (Arb) for `verify`: every number is an interval that holds the true value.

One function an equation of DESIGN section 1, at 128 bits. A comparison of balls is true only when
it holds for all their numbers. Where to evaluate (tangents, weights of deadlines) is proposed in
plain floating point by points.py; every bound here holds wherever it is evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dtkd_opt.errors import InputError
from dtkd_opt.instance import PLACES, AccuracyTable, Instance
from dtkd_opt.verify.arrays import Arrays
from dtkd_opt.verify.points import best_bandwidth, deadline_weight
from dtkd_opt.verify.rows import Array, Figures, Rows, Users, capacity_of, reachable, usable

if TYPE_CHECKING:
    from flint import arb

PRECISION = 128  # bits
Key = tuple[int, int, int, int]  # user, model, place, server


class Needs(NamedTuple):
    """What one user's option needs."""

    bits: arb  # uploaded
    snr_hz: arb  # γ
    downlink: arb  # bits over spectral efficiency [Hz s]
    cycles: arb  # of the server
    device_cycles: arb
    accuracy: arb


class Option(NamedTuple):
    """What does not depend on prices, of one user's option that is not certainly impossible."""

    needs: Needs
    error_s: arb  # ρ (1 - a)
    device_s: arb
    least_hz: arb  # of the uplink, by the energy budget
    band_hz: arb
    pools: tuple[arb, arb]  # downlink [Hz], CPU [cycles/s]


def accuracy_at(table: AccuracyTable, samples: float, place: str) -> arb:
    """a(D): piecewise linear in log D, constant beyond the table's ends."""
    grid, values = table.samples, getattr(table, place)
    if samples <= grid[0]:
        return _arb(values[0])
    if samples >= grid[-1]:
        return _arb(values[-1])
    i = next(i for i, point in enumerate(grid) if samples < point)
    weight = (_arb(samples) / _arb(grid[i - 1])).log() / (_arb(grid[i]) / _arb(grid[i - 1])).log()
    low, high = _arb(values[i - 1]), _arb(values[i])
    return low + weight * (high - low)


def upload_delay(bits: arb, snr_hz: arb, bandwidth_hz: arb) -> arb:
    """bits / (b log2(1 + γ / b)) [s]; 0 without bits."""
    if bits == 0:
        return _arb(0.0)
    return bits * _arb(2.0).log() / (bandwidth_hz * (snr_hz / bandwidth_hz).log1p())


def priced_upload(option: Option, price: arb, weight: arb, proposed_hz: float) -> arb:
    """A lower bound of min W T(b) + μ b over b in [lo, hi], T(b) = bits / (b log2(1 + γ / b)).

    T is convex (its rate is concave and positive) and at b its logarithm falls with log b by

        e = 1 - w / ((1 + w) ln(1 + w)),   w = γ / b,   0 < e < 1,

    so that W T has the slope -μ0 at b, μ0 = W T e / b. For other x, by the tangent at b:
    W T(x) + μ x ≥ W T (1 + e) + (μ - μ0) x. Hence the minimum is

    - at least W T (1 + e (1 - lo / b)) + μ lo         where μ ≥ μ0;
    - W T + μ b                                        where μ ≤ μ0 and b = hi;
    - at least min(1, μ / μ0) (W T + μ0 b)             always, as W T ≥ 0.
    """
    if option.needs.bits == 0:
        return _arb(0.0)
    b, lo, hi = _arb(proposed_hz), option.least_hz, option.band_hz
    delay = weight * upload_delay(option.needs.bits, option.needs.snr_hz, b)
    w = option.needs.snr_hz / b
    e = 1 - w / ((1 + w) * w.log1p())
    if price * b >= delay * e:
        return delay * (1 + e * (1 - lo / b)) + price * lo
    if b == hi and price * b <= delay * e:
        return delay + price * b
    return (delay * (1 + e)).min(price * b * (1 + 1 / e.upper()))


def priced_need(need: arb, price: arb, pool: arb, weight: arb) -> arb:
    """A lower bound of min W q / x + ν x over 0 < x ≤ C.

    It is 2 sqrt(W q ν) without the end C, and at C where it still falls there: ν C² ≤ W q.
    """
    if price * pool * pool <= weight * need:
        return weight * need / pool + price * pool
    return 2 * (weight * need * price).sqrt()


class Balls:
    """The arithmetic of `verify` up to 10,000 users.

    Raises
    ------
    InputError
        When python-flint is not installed.
    """

    def __init__(self, instance: Instance, users: Users):
        try:
            from flint import ctx
        except ImportError:
            fault = 'needs python-flint; run pip install "dtkd-opt[verify]"'
            raise InputError("verify", [fault]) from None
        self.context = ctx
        self.instance, self.users = instance, users
        self.capacity = capacity_of(instance)
        self.search = Arrays(instance, users)
        self.options: dict[Key, Option | None] = {}

    def option_costs(self, prices: Array, span: slice) -> Array:
        """(n, M, 2, S) c_k(λ) [s] of some users' options; inf where certainly impossible."""
        rows = reachable(self.users, span, len(self.instance.models))
        demand = self.search.demand(rows, prices)
        weights = deadline_weight(demand)
        bands = [best_bandwidth(demand, weight) for weight in (np.ones(len(weights)), weights)]
        shape = (span.stop - span.start, len(self.instance.models), 2, len(self.instance.servers))
        costs, prices = np.full(shape, np.inf), usable(prices)
        with self.context.workprec(PRECISION):
            for k, key in enumerate(_keys(rows)):
                if key not in self.options:
                    self.options[key] = self._option(key, float(demand.least_hz[k]))
                if (option := self.options[key]) is None:
                    continue
                n, m, p, s = key
                at = [_arb(price) for price in prices[:, s]]
                cost = self._cost(option, n, at, 1.0, float(bands[0][k]))
                if weights[k] > 1:  # any weight gives a bound: the better one counts
                    held = self._cost(option, n, at, float(weights[k]), float(bands[1][k]))
                    cost = max(cost, held)
                costs[n - span.start, m, p, s] = cost
        return costs

    def _cost(self, option: Option, n: int, prices: list[arb], weight: float, b: float) -> float:
        """c_k(λ) ≥ min [W T(x) + λ · x] + ρ (1 - a) - (W - 1) T_max, for any W ≥ 1 (duality)."""
        w = _arb(weight)
        cost = option.error_s + w * option.device_s + priced_upload(option, prices[0], w, b)
        needs = (option.needs.downlink, option.needs.cycles)
        for need, price, pool in zip(needs, prices[1:], option.pools, strict=True):
            cost += priced_need(need, price, pool, w)
        if weight > 1:
            cost -= (w - 1) * _arb(self.users.deadline_s[n])
        return _floor(cost)

    def _option(self, key: Key, proposed_hz: float) -> Option | None:
        """An option's numbers, or None if it certainly breaks a limit of its user."""
        users, needs, (n, _, p, s) = self.users, self._needs(*key), key
        band, downlink, cpu = (_arb(pool) for pool in self.capacity[:, s])
        device_s, least = _arb(0.0), _arb(0.0)
        if PLACES[p] == "device":  # at f = min(f_max, sqrt(E / (κ cycles)))
            device_s = needs.device_cycles / _arb(users.cpu_hz[n])
            if math.isfinite(users.energy_j[n]):
                heat = _arb(users.kappa[n]) * needs.device_cycles / _arb(users.energy_j[n])
                device_s = device_s.max(needs.device_cycles * heat.sqrt())
        upload = upload_delay(needs.bits, needs.snr_hz, band)
        if math.isfinite(users.energy_j[n]):
            longest = _arb(users.energy_j[n]) / _arb(users.tx_power_w[n])
            if upload > longest:
                return None
            if proposed_hz > 0:  # the delay falls with b: below `proposed` it takes too long
                proposed = _arb(proposed_hz)
                if upload_delay(needs.bits, needs.snr_hz, proposed) >= longest:
                    least = proposed
        fastest = device_s + upload + needs.downlink / downlink + needs.cycles / cpu
        late = math.isfinite(users.deadline_s[n]) and fastest > _arb(users.deadline_s[n])
        floor = users.min_accuracy[n]
        if late or (math.isfinite(floor) and needs.accuracy < _arb(floor)):
            return None
        error = _arb(self.instance.seconds_per_error) * (1 - needs.accuracy)
        return Option(needs, error, device_s, least, band, (downlink, cpu))

    def _needs(self, n: int, m: int, p: int, s: int) -> Needs:
        """Bits, cycles and accuracy of an option (DESIGN section 1)."""
        task, model, server = self.instance.task, self.instance.models[m], self.instance.servers[s]
        samples, fresh = _arb(self.users.samples[n]), _arb(self.users.fresh_fraction[n])
        gain, noise = _arb(self.users.gain[n, s]), _arb(server.noise_w_per_hz)
        training = _arb(task.epochs) * samples * _arb(model.cycles_per_sample)
        density = _arb(server.tx_power_w) * gain / (noise * _arb(server.downlink_hz))
        efficiency = density.log1p() / _arb(2.0).log()
        accuracy = accuracy_at(model.accuracy, float(self.users.samples[n]), PLACES[p])
        snr, none = _arb(self.users.tx_power_w[n]) * gain / noise, _arb(0.0)
        if PLACES[p] == "device":
            download = (1 - fresh) * samples * _arb(task.bits_per_label)
            return Needs(none, snr, download / efficiency, none, training, accuracy)
        upload = fresh * samples * _arb(task.bits_per_sample)
        labelling = fresh * samples * _arb(task.teacher_cycles_per_sample)
        download = _arb(model.bits) / efficiency
        return Needs(upload, snr, download, labelling + training, none, accuracy)

    def figures(self, rows: Rows, shares: Array) -> Figures:
        """Cost, delay, energy and accuracy of every row at its (3, K) shares."""
        with self.context.workprec(PRECISION):
            pairs = zip(_keys(rows), usable(shares).T.tolist(), strict=True)
            found = [self._figures(key, *mine) for key, mine in pairs]
        return Figures(*np.array(found).reshape(-1, 4).T)

    def _figures(
        self, key: Key, band: float, downlink: float, cpu: float
    ) -> tuple[float, float, float, float]:
        """At most its cost T + ρ (1 - a), delay T and energy, at least its accuracy."""
        needs, (n, _, p, _) = self._needs(*key), key
        cycles = needs.device_cycles + needs.cycles  # one of them is zero
        upload = upload_delay(needs.bits, needs.snr_hz, _arb(band))
        delay = upload + cycles / _arb(cpu)
        if needs.downlink != 0:
            delay += needs.downlink / _arb(downlink)
        energy = _arb(self.users.tx_power_w[n]) * upload
        if PLACES[p] == "device":
            energy = _arb(self.users.kappa[n]) * _arb(cpu) * _arb(cpu) * cycles
        cost = delay + _arb(self.instance.seconds_per_error) * (1 - needs.accuracy)
        return _ceil(cost), _ceil(delay), _ceil(energy), _floor(needs.accuracy)


def _keys(rows: Rows) -> Iterator[Key]:
    return zip(
        rows.user.tolist(),
        rows.model.tolist(),
        rows.place.tolist(),
        rows.server.tolist(),
        strict=True,
    )


def _arb(value: float) -> arb:
    """A double (or whole number) as a ball of radius zero."""
    from flint import arb

    return arb(value)


def _floor(ball: arb) -> float:
    """A double below all of a ball; -inf where nothing is known."""
    low = float(ball.lower())
    return -math.inf if math.isnan(low) else math.nextafter(low, -math.inf)


def _ceil(ball: arb) -> float:
    """A double above all of a ball; inf where nothing is known."""
    return -_floor(-ball)

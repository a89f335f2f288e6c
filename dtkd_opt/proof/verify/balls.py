"""Ball arithmetic (Arb) for `verify`: every number is an interval that holds the true value.

One function an equation of formulations/README.md, at 128 bits. A comparison of balls is true only
when it holds for all their numbers. A ball comes first in every sum and product, so that nothing is
rounded as a double. Where to evaluate (tangents, weights of deadlines) is proposed in plain
floating point by arrays.py and candidates.py; every bound here holds wherever it is evaluated.
"""

from __future__ import annotations

import functools
import math
import threading
from bisect import bisect_right

import numpy as np
from flint import arb, ctx

from dtkd_opt.proof.verify.arrays import Arrays
from dtkd_opt.records.accuracy import AccuracyTable
from dtkd_opt.records.arrays import Array, Index
from dtkd_opt.records.instance import DEVICE, PLACES, Instance

PRECISION = 128  # bits
_taking_turns = threading.Lock()  # Arb's precision is one for all threads


def accuracy_at(accuracy: AccuracyTable, samples: float, place: str) -> arb:
    """a(D): piecewise linear in log D, constant beyond the table's ends."""
    grid, values = accuracy.samples, [arb(value) for value in getattr(accuracy, place)]
    if not grid[0] < samples < grid[-1]:
        return values[0] if samples <= grid[0] else values[-1]
    i = bisect_right(grid, samples)
    weight = (arb(samples) / grid[i - 1]).log() / (arb(grid[i]) / grid[i - 1]).log()
    return values[i - 1] + weight * (values[i] - values[i - 1])


class Option:
    """What one user needs with one model, at one place and server; all in balls.

    Less of the uplink than `proposed_hz` is ruled out if it certainly breaks the energy budget.
    """

    def __init__(self, instance: Instance, n: int, m: int, p: int, s: int, proposed_hz: float):
        task, model, server = instance.task, instance.models[m], instance.servers[s]
        users, zero = instance.users, arb(0)
        samples, fresh = arb(float(users.samples[n])), arb(users.fresh_fraction[n])
        training = samples * task.epochs * model.cycles_per_sample
        labelling = fresh * samples * task.teacher_cycles_per_sample
        if p == DEVICE:
            self.bits, self.cycles, self.device_cycles = zero, zero, training
            download = (1 - fresh) * samples * task.bits_per_label
        else:
            self.bits, self.cycles = fresh * samples * task.bits_per_sample, labelling + training
            self.device_cycles, download = zero, arb(model.bits)
        gain, self.tx_power_w = arb(users.channel_gain[n, s]), arb(users.tx_power_w[n])
        self.snr_hz = gain * self.tx_power_w / server.noise_w_per_hz
        density = gain * server.tx_power_w / server.noise_w_per_hz / server.downlink_hz
        self.downlink = download * arb(2).log() / density.log1p()  # bits over efficiency [Hz s]
        self.accuracy = accuracy_at(model.accuracy, float(users.samples[n]), PLACES[p])
        self.error_s = (1 - self.accuracy) * instance.seconds_per_error
        # limits are infinite where there are none
        self.kappa, self.energy_j = arb(users.kappa[n]), arb(users.energy_j[n])
        self.deadline_s, self.min_accuracy = arb(users.deadline_s[n]), arb(users.min_accuracy[n])
        self.pools = [arb(pool) for pool in (server.uplink_hz, server.downlink_hz, server.cpu_hz)]
        # at f = min(f_max, sqrt(E / (κ cycles)))
        at_budget = self.device_cycles * (self.kappa * self.device_cycles / self.energy_j).sqrt()
        self.device_s = (self.device_cycles / users.cpu_hz[n]).max(at_budget)
        # the delay falls with b
        over_budget = proposed_hz > 0 and self.radio_j(arb(proposed_hz)) >= self.energy_j
        self.min_hz = arb(proposed_hz if over_budget else 0)

    def upload_s(self, bandwidth_hz: arb) -> arb:
        """T(b) = bits / (b log2(1 + γ / b)) [s]; 0 without bits."""
        if self.bits == 0:
            return arb(0)
        return self.bits * arb(2).log() / (bandwidth_hz * (self.snr_hz / bandwidth_hz).log1p())

    def radio_j(self, bandwidth_hz: arb) -> arb:
        """p T(b) [J]."""
        return self.tx_power_w * self.upload_s(bandwidth_hz)

    @functools.cached_property
    def impossible(self) -> bool:
        """Whether it certainly breaks a limit of its user, even with all pools to itself."""
        band, downlink, cpu = self.pools
        fastest = self.device_s + self.upload_s(band) + self.downlink / downlink + self.cycles / cpu
        over_budget = self.radio_j(band) > self.energy_j
        return over_budget or fastest > self.deadline_s or self.accuracy < self.min_accuracy

    def cost(self, prices: list[float], weight: float, proposed_hz: float) -> float:
        """c_k(λ) ≥ min [W T(x) + λ · x] + ρ (1 - a) - (W - 1) T_max, for any W ≥ 1 (duality)."""
        w, (uplink, downlink, cpu) = arb(weight), (arb(price) for price in prices)
        cost = self.error_s + w * self.device_s + self.priced_upload(uplink, w, proposed_hz)
        cost += priced_need(self.downlink, downlink, self.pools[1], w)
        cost += priced_need(self.cycles, cpu, self.pools[2], w)
        return floor(cost - (w - 1) * self.deadline_s if weight > 1 else cost)

    def priced_upload(self, price: arb, weight: arb, proposed_hz: float) -> arb:
        """A lower bound of min W T(b) + μ b over b in [lo, hi], T(b) = bits / (b log2(1 + γ / b)).

        T is convex (its rate is concave and positive) and at b its logarithm falls with log b by

            e = 1 - w / ((1 + w) ln(1 + w)),   w = γ / b,   0 < e < 1,

        so that W T has the slope -μ0 at b, μ0 = W T e / b. For other x, by the tangent at b:
        W T(x) + μ x ≥ W T (1 + e) + (μ - μ0) x. Hence the minimum is

        - at least W T (1 + e (1 - lo / b)) + μ lo         where μ ≥ μ0;
        - W T + μ b                                        where μ ≤ μ0 and b = hi;
        - at least min(1, μ / μ0) (W T + μ0 b)             always, as W T ≥ 0.
        """
        if self.bits == 0:
            return arb(0)
        lo, hi = self.min_hz, self.pools[0]
        b = arb(proposed_hz) if 0 < proposed_hz < math.inf else hi
        delay, w = weight * self.upload_s(b), self.snr_hz / b
        e = 1 - w / ((1 + w) * w.log1p())
        if price * b >= delay * e:
            return delay * (1 + e * (1 - lo / b)) + price * lo
        if b == hi and price * b <= delay * e:
            return delay + price * b
        return (delay * (1 + e)).min(price * b * (1 + 1 / e.upper()))

    def figures(self, band: float, downlink: float, cpu: float) -> tuple[float, ...]:
        """At most its cost T + ρ (1 - a), delay T and energy, at least its accuracy."""
        f, cycles = arb(cpu), self.device_cycles + self.cycles  # one of them is zero
        delay = self.upload_s(arb(band)) + cycles / f
        if self.downlink != 0:
            delay += self.downlink / downlink
        energy = self.radio_j(arb(band)) + self.kappa * f * f * self.device_cycles
        return -floor(-delay - self.error_s), -floor(-delay), -floor(-energy), floor(self.accuracy)


def priced_need(need: arb, price: arb, pool: arb, weight: arb) -> arb:
    """A lower bound of min W q / x + ν x over 0 < x ≤ C.

    It is 2 sqrt(W q ν) without the end C, and at C where it still falls there: ν C² ≤ W q.
    """
    if price * pool * pool <= weight * need:
        return weight * need / pool + price * pool
    return 2 * (weight * need * price).sqrt()


def floor(ball: arb) -> float:
    """A double below all of a ball; NaN where there is none."""
    return math.nextafter(float(ball.lower()), -math.inf)


class Balls:
    """The arithmetic of `verify` up to 10,000 users."""

    def __init__(self, instance: Instance):
        self.instance, self.arrays = instance, Arrays(instance)
        self.option = functools.cache(functools.partial(Option, instance))

    def option_costs(self, prices: Array) -> Array:
        """(N, M, 2, S) c_k(λ) [s] of all options; inf where out of reach or impossible."""
        gain, proposals = self.instance.users.channel_gain, self.arrays.proposals(prices)
        costs = np.full((len(gain), len(self.instance.models), 2, gain.shape[1]), math.inf)
        with _taking_turns, ctx.workprec(PRECISION):
            for n, m, p, s in np.ndindex(costs.shape):
                min_hz, free_hz, weight, deadline_hz = proposals[n, m, p, s].tolist()
                if math.isnan(gain[n, s]) or (k := self.option(n, m, p, s, min_hz)).impossible:
                    continue
                at = prices[:, s].tolist()
                late = k.cost(at, weight, deadline_hz) if weight > 1 else 0.0  # any weight bounds
                costs[n, m, p, s] = max(0.0, k.cost(at, 1.0, free_hz), late)  # never negative
        return costs

    def figures(self, choice: Index, shares: Array) -> Array:
        """(4, N) cost, delay, energy and accuracy of all users, by (3, N) choice and shares."""
        pairs = enumerate(zip(choice.T.tolist(), shares.T.tolist(), strict=True))
        with _taking_turns, ctx.workprec(PRECISION):
            figures = [self.option(n, *key, 0.0).figures(*x) for n, (key, x) in pairs]
        return np.array(figures).T

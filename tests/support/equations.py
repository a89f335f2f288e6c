"""The equations of formulations/README.md in plain Python, apart from those of the package."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dtkd_opt.records.instance import AccuracyTable, Instance


@dataclass(frozen=True)
class Figures:
    """One user's figures, by the equations of formulations/README.md in plain Python."""

    upload_s: float
    download_s: float
    compute_s: float
    energy_j: float
    accuracy: float

    @property
    def delay_s(self) -> float:
        return self.upload_s + self.download_s + self.compute_s


def figures(
    instance: Instance,
    n: int,
    model: int,
    place: str,
    server: int,
    uplink_hz: float,
    downlink_hz: float,
    cpu_hz: float,
) -> Figures:
    """What user `n` gets from a student, a place, a server it reaches and its shares."""
    user, student = instance.users[n], instance.models[model]
    edge, task = instance.servers[server], instance.task
    gain = user.channel_gain[server]
    assert gain is not None
    efficiency = math.log1p(edge.tx_power_w * gain / edge.noise_w_per_hz / edge.downlink_hz)
    downlink = downlink_hz * efficiency / math.log(2)
    training = task.epochs * user.samples * student.cycles_per_sample
    accuracy = interpolate(student.accuracy, user.samples, place)
    if place == "device":
        labels = (1 - user.fresh_fraction) * user.samples * task.bits_per_label
        energy = user.kappa * cpu_hz**2 * training
        return Figures(0.0, _over(labels, downlink), _over(training, cpu_hz), energy, accuracy)
    snr = user.tx_power_w * gain / edge.noise_w_per_hz
    uplink = uplink_hz * math.log1p(snr / uplink_hz) / math.log(2) if uplink_hz else 0.0
    fresh = user.fresh_fraction * user.samples
    upload = _over(fresh * task.bits_per_sample, uplink)
    cycles = fresh * task.teacher_cycles_per_sample + training
    energy = user.tx_power_w * upload
    return Figures(upload, _over(student.bits, downlink), _over(cycles, cpu_hz), energy, accuracy)


def _over(amount: float, rate: float) -> float:
    if not amount:
        return 0.0
    return amount / rate if rate else math.inf


def interpolate(accuracy: AccuracyTable, samples: float, place: str) -> float:
    """Piecewise linear in log(samples), constant beyond the ends."""
    values = accuracy.device if place == "device" else accuracy.server
    grid = accuracy.samples
    if samples <= grid[0]:
        return values[0]
    for i in range(1, len(grid)):
        if samples <= grid[i]:
            share = math.log(samples / grid[i - 1]) / math.log(grid[i] / grid[i - 1])
            return (1 - share) * values[i - 1] + share * values[i]
    return values[-1]

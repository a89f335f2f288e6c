"""How long the stages of a chosen plan take."""

from __future__ import annotations

from dataclasses import dataclass

from dtkd_opt.problem import physics
from dtkd_opt.problem.demands import Demands
from dtkd_opt.records.arrays import Array


@dataclass(frozen=True, eq=False)
class StageDelays:
    """Seconds that each entry spends in each stage, (K,) each; 0 where it has no such stage."""

    upload: Array
    label: Array
    train: Array
    download: Array

    def total(self) -> Array:
        """T_n [s]: upload, download and computing."""
        return self.upload + self.download + (self.label + self.train)


def stage_delays(
    chosen: Demands, uplink_hz: Array, downlink_hz: Array, cpu_hz: Array
) -> StageDelays:
    """Delays of the stages with (K,) shares; `cpu_hz` is the device's frequency on a device.

    At the server t_up = φ D β / r_ul(b), t_label = φ D c_T / f, t_train = E_p D c_m / f and
    t_down = s_m / r_dl(b); on the device t_down = (1 - φ) D λ / r_dl(b) and t_train alone.
    """
    return StageDelays(
        upload=upload_delay(chosen, uplink_hz, chosen.upload_bits()),
        label=physics.compute_delay(chosen.labelling_cycles(), cpu_hz),
        train=physics.compute_delay(chosen.training_cycles(), cpu_hz),
        download=download_delay(chosen, downlink_hz),
    )


def upload_delay(chosen: Demands, uplink_hz: Array, bits: Array) -> Array:
    """(…, K) bits / r_ul(b) [s], with shares b (…, K) of the uplink."""
    rate = physics.uplink_rate(uplink_hz, chosen.uplink_snr_hz())
    return physics.transfer_delay(bits, rate)


def download_delay(chosen: Demands, downlink_hz: Array) -> Array:
    """(K,) s_m / r_dl(b) [s] from the server, (1 - φ) D λ / r_dl(b) to the device."""
    rate = physics.downlink_rate(downlink_hz, chosen.downlink_efficiency())
    return physics.transfer_delay(chosen.download_bits(), rate)

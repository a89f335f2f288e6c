"""Rates, delays, energies: one small vectorised function per equation of formulations/README.md.

All arguments broadcast as NumPy arrays; units are SI.
"""

from __future__ import annotations

import math

import numpy as np

from dtkd_opt.records.arrays import Array

LN2 = math.log(2)
FLOPS_PER_CYCLE = 16  # two 128-bit fused multiply-add pipes
PASSES = 3  # forward and backward: a training sample costs three forward passes


def uplink_snr_hz(tx_power_w: Array, gain: Array, noise_w_per_hz: Array) -> Array:
    """γ = p g / N0 [Hz]: the band at which the uplink's signal-to-noise ratio is one."""
    return tx_power_w * gain / noise_w_per_hz


def uplink_rate(bandwidth_hz: Array, snr_hz: Array) -> Array:
    """r_ul(b) = b log2(1 + γ / b) [bit/s], concave in b, zero at b = 0, below γ / ln 2."""
    b = np.asarray(bandwidth_hz, float)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ratio = np.minimum(snr_hz / b, np.finfo(float).max)  # of a share so small it overflows
        rate = b * np.log1p(ratio) / LN2
    return np.where(b > 0, rate, 0.0)


def downlink_efficiency(
    tx_power_w: Array, gain: Array, noise_w_per_hz: Array, band_hz: Array
) -> Array:
    """e = log2(1 + P g / (N0 B_dl)) [bit/s/Hz]: constant density over the server's whole band."""
    return np.asarray(np.log1p(tx_power_w * gain / (noise_w_per_hz * band_hz)) / LN2)


def downlink_rate(bandwidth_hz: Array, efficiency: Array) -> Array:
    """r_dl(b) = b e [bit/s], linear in b."""
    return bandwidth_hz * efficiency


def transfer_delay(bits: Array, rate: Array) -> Array:
    """bits / rate [s]; zero where there is nothing to send."""
    bits, rate = np.broadcast_arrays(np.asarray(bits, float), np.asarray(rate, float))
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.where(bits > 0, bits / rate, 0.0)


def label_bits(samples: Array, fresh_fraction: Array, bits_per_label: float) -> Array:
    """(1 - φ) D λ [bit]: soft labels of the mirrored samples, downloaded by a device."""
    return (1 - fresh_fraction) * samples * bits_per_label


def fresh_bits(samples: Array, fresh_fraction: Array, bits_per_sample: float) -> Array:
    """φ D β [bit]: fresh samples, uploaded to the digital agent."""
    return fresh_fraction * samples * bits_per_sample


def training_cycles(samples: Array, epochs: int, cycles_per_sample: Array) -> Array:
    """E_p D c_m [cycles]: training a student over all epochs."""
    return epochs * samples * cycles_per_sample


def labelling_cycles(
    samples: Array, fresh_fraction: Array, teacher_cycles_per_sample: float
) -> Array:
    """φ D c_T [cycles]: the teacher labels the fresh samples at the server."""
    return fresh_fraction * samples * teacher_cycles_per_sample


def compute_delay(cycles: Array, cpu_hz: Array) -> Array:
    """cycles / f [s]."""
    return transfer_delay(cycles, cpu_hz)


def compute_energy(cycles: Array, cpu_hz: Array, kappa: Array) -> Array:
    """κ f² · cycles [J]: dynamic energy of a device's CPU."""
    return kappa * cpu_hz**2 * cycles


def device_frequency(cycles: Array, cpu_hz: Array, kappa: Array, energy_j: Array) -> Array:
    """Fastest frequency within the CPU and the energy budget: min(f_max, √(E / (κ cycles))) [Hz].

    The delay only falls with f, so this frequency is optimal. No budget is energy_j = inf.
    """
    with np.errstate(divide="ignore", over="ignore"):
        return np.minimum(cpu_hz, np.sqrt(energy_j / (kappa * cycles)))


def upload_energy(tx_power_w: Array, uplink_delay_s: Array) -> Array:
    """p · t_ul [J]: energy of the radio while it uploads."""
    return tx_power_w * uplink_delay_s

"""Each equation against a number worked out by hand, with its units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtkd_opt.problem import physics
from tests.support.strategies import magnitudes


def a(*values: float) -> physics.Array:
    return np.array(values, float)


def test_uplink_snr() -> None:
    """0.2 W · 1e-11 / 4e-21 W/Hz = 5e8 Hz."""
    assert physics.uplink_snr_hz(a(0.2), a(1e-11), a(4e-21)) == pytest.approx(5e8, rel=1e-15)


def test_uplink_rate() -> None:
    """1 MHz · log2(1 + 1), log2(1 + 3), log2(1 + 15) bit/s."""
    rate = physics.uplink_rate(a(1e6, 1e6, 1e6), a(1e6, 3e6, 15e6))
    assert rate == pytest.approx([1e6, 2e6, 4e6], rel=1e-15)


def test_uplink_rate_is_zero_without_bandwidth() -> None:
    assert physics.uplink_rate(a(0.0, 0.0), a(1e6, 1e30)).tolist() == [0.0, 0.0]


def test_uplink_rate_of_next_to_no_bandwidth() -> None:
    """γ / b overflows; the rate must not: a forged share of 1e-300 Hz would upload in no time."""
    rate = physics.uplink_rate(a(1e-300, 1e-300, 5e-324), a(5e8, 1e30, 1e12))
    assert (rate < 1e-296).all()
    assert (rate >= 0).all()


def test_downlink_efficiency() -> None:
    """14 W · 1e-12 / (4e-21 W/Hz · 5e8 Hz) = 7, log2(1 + 7) = 3 bit/s/Hz."""
    efficiency = physics.downlink_efficiency(a(14.0), a(1e-12), a(4e-21), a(5e8))
    assert efficiency == pytest.approx(3.0, rel=1e-15)


def test_downlink_rate() -> None:
    """2 MHz · 3 bit/s/Hz = 6 Mbit/s."""
    assert physics.downlink_rate(a(2e6), a(3.0)).tolist() == [6e6]


def test_transfer_delay() -> None:
    """1 Mbit at 2 Mbit/s is half a second; nothing to send takes none, whatever the rate."""
    delay = physics.transfer_delay(a(1e6, 0.0, 0.0, 1.0), a(2e6, 2e6, 0.0, 0.0))
    assert delay.tolist() == [0.5, 0.0, 0.0, np.inf]


def test_label_bits() -> None:
    """(1 - 0.25) · 400 samples · 320 bits = 96 000 bits; none if every sample is fresh."""
    bits = physics.label_bits(a(400, 400), a(0.25, 1.0), 320.0)
    assert bits.tolist() == [96_000.0, 0.0]


def test_fresh_bits() -> None:
    """0.25 · 400 samples · 6272 bits = 627 200 bits; none if no sample is fresh."""
    bits = physics.fresh_bits(a(400, 400), a(0.25, 0.0), 6272.0)
    assert bits.tolist() == [627_200.0, 0.0]


def test_training_cycles() -> None:
    """5 epochs · 400 samples · 4e4 cycles = 8e7 cycles."""
    assert physics.training_cycles(a(400), 5, a(4e4)).tolist() == [8e7]


def test_labelling_cycles() -> None:
    """0.25 · 400 samples · 7.5e7 cycles = 7.5e9 cycles."""
    assert physics.labelling_cycles(a(400), a(0.25), 7.5e7).tolist() == [7.5e9]


def test_compute_delay() -> None:
    """8e7 cycles at 2 GHz take 0.04 s."""
    assert physics.compute_delay(a(8e7), a(2e9)) == pytest.approx(0.04, rel=1e-15)


def test_compute_energy() -> None:
    """1e-28 J s²/cycle³ · (1e9 cycles/s)² · 8e9 cycles = 0.8 J."""
    assert physics.compute_energy(a(8e9), a(1e9), a(1e-28)) == pytest.approx(0.8, rel=1e-15)


def test_device_frequency() -> None:
    """√(0.2 J / (1e-28 J s²/cycle³ · 8e9 cycles)) = 5e8 Hz; the CPU's own where that is less."""
    frequency = physics.device_frequency(
        a(8e9, 8e9, 8e9, 8e9), a(1.2e9, 4e8, 1.2e9, 1.2e9), a(1e-28, 1e-28, 1e-28, 0.0),
        a(0.2, 0.2, np.inf, 0.2),
    )  # fmt: skip
    assert frequency == pytest.approx([5e8, 4e8, 1.2e9, 1.2e9], rel=1e-15)


@given(
    cycles=magnitudes(1e3, 1e15),
    top=magnitudes(1e6, 1e11),
    kappa=magnitudes(1e-30, 1e-24),
    energy=magnitudes(1e-6, 1e6),
)
def test_device_frequency_is_the_fastest_allowed(
    cycles: float, top: float, kappa: float, energy: float
) -> None:
    frequency = physics.device_frequency(a(cycles), a(top), a(kappa), a(energy))
    used = physics.compute_energy(a(cycles), frequency, a(kappa))
    assert frequency <= top
    assert used <= energy * (1 + 1e-14)
    assert frequency == top or used == pytest.approx(energy, rel=1e-14)


def test_upload_energy() -> None:
    """0.2 W for 3 s is 0.6 J."""
    assert physics.upload_energy(a(0.2), a(3.0)) == pytest.approx(0.6, rel=1e-15)


BANDS, SNRS = magnitudes(1e-3, 1e12), magnitudes(1e-3, 1e15)


@given(low=BANDS, factor=st.floats(1.01, 1e3), snr=SNRS)
def test_uplink_rate_is_increasing(low: float, factor: float, snr: float) -> None:
    rates = physics.uplink_rate(a(low, low * factor), a(snr))
    if low < 1e5 * snr:
        assert rates[0] < rates[1]
    assert rates[0] <= rates[1] * (1 + 1e-15)


@given(bands=st.tuples(BANDS, BANDS), weight=st.floats(0, 1), snr=SNRS)
def test_uplink_rate_is_concave(bands: tuple[float, float], weight: float, snr: float) -> None:
    between = weight * bands[0] + (1 - weight) * bands[1]
    rates = physics.uplink_rate(a(*bands, between), a(snr))
    assert weight * rates[0] + (1 - weight) * rates[1] <= rates[2] * (1 + 1e-14)


def test_uplink_rate_is_strictly_concave() -> None:
    rates = physics.uplink_rate(a(1e6, 2e6, 3e6), a(5e6))
    assert rates[0] + rates[2] < 2 * rates[1] * (1 - 1e-3)


@given(band=BANDS, snr=SNRS)
def test_uplink_rate_is_below_its_limit(band: float, snr: float) -> None:
    rate, limit = physics.uplink_rate(a(band), a(snr)), snr / np.log(2)
    assert rate <= limit * (1 + 1e-15)
    if band < 1e6 * snr:
        assert rate < limit
    assert physics.uplink_rate(a(1e9 * snr), a(snr)) == pytest.approx(limit, rel=1e-8)


SHAPES = [
    (physics.uplink_snr_hz, 3),
    (physics.uplink_rate, 2),
    (physics.downlink_efficiency, 4),
    (physics.downlink_rate, 2),
    (physics.transfer_delay, 2),
    (physics.label_bits, 3),
    (physics.fresh_bits, 3),
    (physics.training_cycles, 3),
    (physics.labelling_cycles, 3),
    (physics.compute_delay, 2),
    (physics.compute_energy, 3),
    (physics.device_frequency, 4),
    (physics.upload_energy, 2),
]


@pytest.mark.parametrize(("equation", "arity"), SHAPES, ids=lambda v: getattr(v, "__name__", ""))
def test_shapes_broadcast(equation: physics.Array, arity: int) -> None:
    """A (4, 1) array and (3,) arrays give (4, 3), each entry as if computed alone."""
    rng = np.random.default_rng(0)
    column, row = rng.uniform(0.1, 0.9, (4, 1)), rng.uniform(0.1, 0.9, (arity - 1, 3))
    result = equation(column, *row)
    assert result.shape == (4, 3)
    for i in range(4):
        for j in range(3):
            single = equation(column[i, 0], *row[:, j])
            assert result[i, j] == pytest.approx(float(single), rel=1e-15)

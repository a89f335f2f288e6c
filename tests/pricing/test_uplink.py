"""The universal uplink curve against 120-digit arithmetic."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtkd_opt.pricing import uplink

flint = pytest.importorskip("flint")
arb, ctx = flint.arb, flint.ctx

DIGITS = 120
LOG_PRICES = np.linspace(-60, 60, 121)

# φ(z) at log z, to 50 digits: with Decimal, precision 120, LN2 / (z · ln(1 + 1 / z)) at
# z = exp(log z)
REFERENCE = {
    -40.0: "4078915851335769.9635777798988689339975470995967386",
    -5.0: "20.546836724198710446817444622159354160889268046732",
    0.0: "1.0",
    5.0: "0.69547976143704216644671101859886049120278885892521",
    40.0: "0.69314718055994531088959850849578208094535499452873",
}


def exact_phi(z: Decimal) -> Decimal:
    """φ(z) = ln 2 / (z ln(1 + 1 / z)) in the current decimal precision."""
    return Decimal(2).ln() / (z * (1 + 1 / z).ln())


def error(found: float, exact: Decimal) -> float:
    """Relative error."""
    return abs(float(Decimal(found) / exact - 1))


@pytest.mark.parametrize("log_z", REFERENCE)
def test_phi_constants(log_z: float) -> None:
    assert error(float(uplink.phi(np.array(log_z))), Decimal(REFERENCE[log_z])) < 3e-15


@given(log_z=st.floats(-60, 60))
def test_phi(log_z: float) -> None:
    with localcontext(prec=DIGITS):
        assert error(float(uplink.phi(np.array(log_z))), exact_phi(Decimal(log_z).exp())) < 3e-15


@given(log_z=st.floats(-60, 60))
def test_excess(log_z: float) -> None:
    """φ / ln 2 - 1 keeps its digits where φ itself has lost them."""
    with localcontext(prec=DIGITS):
        w = np.exp(-log_z)
        exact = exact_phi(1 / Decimal(float(w))) / Decimal(2).ln() - 1
        assert error(float(uplink.phi_excess(np.array(w))), exact) < 1e-13


@given(log_z=st.floats(-60, 60))
def test_slope_is_the_derivative(log_z: float) -> None:
    """-dφ / d log z, by a central difference in 120 digits."""
    with localcontext(prec=DIGITS):
        z, h = 1 / Decimal(float(np.exp(-log_z))), Decimal("1e-15")
        exact = (exact_phi(z * (-h).exp()) - exact_phi(z * h.exp())) / (2 * h)
        assert error(float(uplink.phi_slope(np.exp(-np.array(log_z)))), exact) < 1e-13


def test_priced_minimiser_is_stationary() -> None:
    """c z = -dφ / d log z to 1e-12, from 120-digit arithmetic on the z that was returned."""
    together, _ = uplink.priced_minimiser(LOG_PRICES)
    separate = [uplink.priced_minimiser(np.array(log_c))[0] for log_c in LOG_PRICES]
    pairs = [*zip(LOG_PRICES, together, strict=True), *zip(LOG_PRICES, separate, strict=True)]
    with localcontext(prec=DIGITS):
        for log_c, found in pairs:
            c, z = Decimal(float(log_c)).exp(), Decimal(float(found)).exp()
            length = (1 + 1 / z).ln()
            fall = Decimal(2).ln() * ((-length).exp() - 1 + length) / length**2 / z
            assert abs(float(fall / (c * z) - 1)) < 1e-12


@pytest.mark.parametrize("step", ["1.0001", "0.9999"])
def test_priced_minimiser_is_a_minimum(step: str) -> None:
    """φ(z) + c z is less at the returned z than a ten-thousandth to either side."""
    log_z, _ = uplink.priced_minimiser(LOG_PRICES)
    with localcontext(prec=DIGITS):
        for log_c, found in zip(LOG_PRICES, log_z, strict=True):
            c, z = Decimal(float(log_c)).exp(), Decimal(float(found)).exp()
            beside = z * Decimal(step)
            assert exact_phi(z) + c * z < exact_phi(beside) + c * beside


def test_slope_of_the_priced_minimiser() -> None:
    _, slope = uplink.priced_minimiser(LOG_PRICES)
    h = 1e-4
    after, before = (
        uplink.priced_minimiser(LOG_PRICES + h)[0],
        uplink.priced_minimiser(LOG_PRICES - h)[0],
    )
    assert slope == pytest.approx((after - before) / (2 * h), abs=1e-8)
    assert (slope > -1).all()
    assert (slope <= -0.5 * (1 - 1e-12)).all()


def test_priced_minimiser_of_other_shapes() -> None:
    log_z, slope = uplink.priced_minimiser(np.zeros((2, 0, 3)))
    assert log_z.shape == slope.shape == (2, 0, 3)
    one, _ = uplink.priced_minimiser(np.array(1.5))
    many, _ = uplink.priced_minimiser(np.array([[1.5, -40.0], [1.5, 50.0]]))
    assert one.shape == ()
    assert many[:, 0] == pytest.approx(float(one), rel=1e-14)


def test_inverse_of_phi() -> None:
    """φ(z) = ratio · ln 2 for log ratios of 1e-9 to 100; also the excess over ln 2 to 1e-12."""
    log_ratio = np.append(np.logspace(-9, 2, 100), np.linspace(1, 100, 50))
    together = uplink.inverse_phi(log_ratio)
    separate = [uplink.inverse_phi(np.array(log)) for log in log_ratio]
    pairs = [*zip(log_ratio, together, strict=True), *zip(log_ratio, separate, strict=True)]
    with localcontext(prec=DIGITS):
        for wanted, found in pairs:
            phi, ratio = exact_phi(Decimal(float(found)).exp()), Decimal(float(wanted)).exp()
            relative = phi / Decimal(2).ln()
            assert abs(float(relative / ratio - 1)) < 1e-12
            assert abs(float((relative - 1) / (ratio - 1) - 1)) < 1e-12


@given(log_z=st.floats(-60, 30))
def test_inverse_phi_undoes_phi(log_z: float) -> None:
    """By the excess, since φ itself cannot tell large z apart."""
    log_ratio = np.log1p(uplink.phi_excess(np.exp(-np.array([log_z]))))
    assert uplink.inverse_phi(log_ratio) == pytest.approx([log_z], rel=1e-12, abs=1e-12)


def test_unreachable_delay() -> None:
    found = uplink.inverse_phi(np.array([0.0, -1e-300, -5.0, -np.inf, 1.0]))
    assert found[:4].tolist() == [np.inf] * 4
    assert np.isfinite(found[4])


def test_delay_without_a_limit() -> None:
    """A huge delay asks for next to nothing, and never for more than a smaller one."""
    found = uplink.inverse_phi(np.array([100.0, 599.0, 700.0, 1e6]))
    assert (np.diff(found) <= 0).all()
    assert found[-1] < -500


# --- all signal-to-noise ratios, against balls of 400 bits

DECADES = np.arange(-30, 61)  # of the signal-to-noise ratio 1 / z at the share that is bought


def phi_in_balls(z: Any) -> Any:
    return arb(2).log() / (z * (1 / z).log1p())


def price_in_balls(z: Any) -> Any:
    """c = -φ'(z): the price at which z is bought."""
    length = (1 / z).log1p()
    return arb(2).log() * ((-length).expm1() + length) / length**2 / z**2


@pytest.mark.parametrize("decade", DECADES)
def test_what_is_bought_at_any_ratio(decade: int) -> None:
    """Cost, share and its derivative to 1e-12; by both ways, in log c as a double."""
    with ctx.workprec(400):
        log_c = float(price_in_balls(1 / arb(10) ** int(decade)).log())
        c = arb(log_c).exp()
        z = 1 / arb(10) ** int(decade)
        for _ in range(8):  # Newton on log z, from within rounding
            step = arb("1e-40")
            slope = ((price_in_balls(z * step.exp()) / price_in_balls(z)).log() / step).mid()
            z = (z * ((c / price_in_balls(z)).log() / slope).mid().exp()).mid()
        least = phi_in_balls(z) + c * z
        elasticity = float(1 / slope)
        precise, found_elasticity = uplink.priced_minimiser(np.array(log_c))
        for log_z in (float(precise), float(uplink.interpolated_minimiser(np.array(log_c)))):
            found = arb(float(uplink.phi(np.array(log_z)))) + c * arb(log_z).exp()
            assert abs(float(found / least - 1)) < 1e-12
        assert abs(float(precise) - float(z.log())) < 1e-12
        assert float(found_elasticity) == pytest.approx(elasticity, rel=1e-12)


@pytest.mark.parametrize("decade", DECADES)
def test_the_inverse_at_any_ratio(decade: int) -> None:
    """The share that just keeps a delay, to 1e-12 in what it is asked for."""
    with ctx.workprec(400):
        z = 1 / arb(10) ** int(decade)
        log_ratio = float((phi_in_balls(z) / arb(2).log()).log())
        found = arb(float(uplink.inverse_phi(np.array(log_ratio)))).exp()
        excess = phi_in_balls(found) / arb(2).log() - 1
        assert abs(float(excess / arb(log_ratio).expm1() - 1)) < 1e-12

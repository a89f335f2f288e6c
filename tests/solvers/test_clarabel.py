"""Clarabel's master: max θ - |w|² under cuts, where the maximiser is known."""

from __future__ import annotations

import numpy as np
import pytest

from dtkd_opt.solvers.clarabel import MasterQP


def test_of_one_cut_the_maximiser_is_half_its_gradient() -> None:
    """θ = 3 + g · (w - p) makes θ - |w|² largest at w = g / 2."""
    master = MasterQP(2)
    gradient, point = np.array([2.0, 1.0]), np.array([1.0, 3.0])
    master.add_cut(3.0, gradient, point)
    roots, value = master.maximise()
    assert roots == pytest.approx(gradient / 2, rel=1e-9)
    assert value == pytest.approx(3 - gradient @ point + (gradient @ gradient) / 4, rel=1e-9)


def test_roots_are_never_negative() -> None:
    """A price is the square of its root: one that falls in the cut is 0."""
    master = MasterQP(1)
    master.add_cut(5.0, np.array([-4.0]), np.array([1.0]))
    roots, value = master.maximise()
    assert (roots >= 0).all()
    assert value == pytest.approx(5 + 4 * (1 - roots[0]) - roots[0] ** 2, rel=1e-9)


def test_weights_of_two_cuts_mix_them_where_they_meet() -> None:
    """θ ≤ 4 w and θ ≤ 1: they meet at w = ¼, below the first one's own w = 2."""
    master = MasterQP(1)
    master.add_cut(0.0, np.array([4.0]), np.array([0.0]))
    master.add_cut(1.0, np.array([0.0]), np.array([7.0]))
    roots, value = master.maximise()
    assert roots == pytest.approx([0.25], rel=1e-7)
    assert value == pytest.approx(1 - 1 / 16, rel=1e-9)
    assert master.weights() == pytest.approx([1 / 8, 7 / 8], rel=1e-6)  # 4 μ = 2 w, Σ μ = 1
    master.add_cut(9.0, np.array([1.0]), np.array([0.0]))
    assert master.weights()[2] == 0

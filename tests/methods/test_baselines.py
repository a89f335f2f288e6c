"""Baselines: what they choose, and whom they name where they find nothing."""

from __future__ import annotations

import dtkd_opt as do


def test_iterations_of_a_baseline_are_steps_of_its_prices() -> None:
    instance = do.generate_instance(20, 2)
    bounds = [do.solve(instance, "greedy", iterations=steps).bound for steps in (1, 5, 500)]
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[1] < bounds[2]

"""Costs of networks, held against those of the shipped instances."""

from __future__ import annotations

import pytest

import dtkd_opt as do
from dtkd_opt.distill.costs import count_costs
from dtkd_opt.distill.networks import STUDENTS, TEACHER, build_network


@pytest.mark.parametrize("name", STUDENTS)
def test_students_cost_what_instances_say(name: str) -> None:
    """Bits and FLOPs of the shipped instances' models on 28 × 28 pixels."""
    costs = count_costs(build_network(name, (1, 28, 28), 10, seed=0), (1, 28, 28))
    shipped = next(model for model in do.shipped_calibration().models if model.name == name)
    assert (costs.bits, costs.cycles_per_sample) == (shipped.bits, shipped.cycles_per_sample)
    assert costs.cycles_per_sample == 3 * costs.forward_cycles == 3 * costs.flops / 16


def test_teacher_costs() -> None:
    network = build_network(TEACHER, (1, 28, 28), 10, seed=0)
    costs = count_costs(network, (1, 28, 28))
    assert (costs.parameters, costs.flops) == (308_074, 20_639_232)
    assert network.training

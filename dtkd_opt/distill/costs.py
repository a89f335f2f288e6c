"""Costs of a network: parameters, bits to send, FLOPs and cycles of a sample."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dtkd_opt.distill.networks import Shape, build_network
from dtkd_opt.distill.training import TrainConfig
from dtkd_opt.problem.physics import FLOPS_PER_CYCLE, PASSES

_STEP_FLOPS = 5e6  # that take about as long as PyTorch's own overhead of a step


@dataclass(frozen=True)
class Costs:
    """`bits` is all that must be sent: weights, and the running statistics of normalisation.

    `flops` is a forward pass of one sample. A cycle does FLOPS_PER_CYCLE of them, and the backward
    pass takes twice the forward one: training costs `cycles_per_sample` in an epoch, labelling
    `forward_cycles`.
    """

    parameters: int
    bits: int
    flops: int

    @property
    def forward_cycles(self) -> float:
        """Cycles of a forward pass of one sample."""
        return self.flops / FLOPS_PER_CYCLE

    @property
    def cycles_per_sample(self) -> float:
        """Cycles of one sample in one epoch of training."""
        return PASSES * self.flops / FLOPS_PER_CYCLE

    def training_flops(self, config: TrainConfig, samples: int, scored: int) -> float:
        """About how long a training with its scoring takes, in FLOPs: for the order of jobs."""
        visits = PASSES * config.epochs * samples + scored
        return visits * self.flops + config.steps(samples) * _STEP_FLOPS


def count_costs(network: nn.Module, shape: Shape) -> Costs:
    """Count a network's costs for images of a shape (channels, height, width)."""
    was = network.training
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, *shape))
    network.train(was)
    state = network.state_dict().values()
    return Costs(
        parameters=sum(p.numel() for p in network.parameters()),
        bits=8 * sum(value.numel() * value.element_size() for value in state),
        flops=counter.get_total_flops(),
    )


@cache
def costs_of(name: str, shape: Shape, classes: int) -> Costs:
    """The costs of a network by its name, see :func:`build_network`; counted once."""
    return count_costs(build_network(name, shape, classes, 0), shape)

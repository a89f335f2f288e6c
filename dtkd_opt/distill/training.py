"""The training loop of students and teacher."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dtkd_opt.distill.loss import distillation_loss, soften
from dtkd_opt.errors import DtkdError
from dtkd_opt.records.fields import Count, Fraction, Positive, Record
from dtkd_opt.runtime.threads import one_thread

LAYOUT = torch.channels_last  # a third faster than torch's own, for convolutions on a CPU


class TrainConfig(Record):
    """How to train.

    Each epoch visits all samples once, in equal batches of at most `batch_size`: no batch has a
    single sample, which normalisation could not take. `tau` and `alpha` are those of
    :func:`distillation_loss`.

    On Fashion-MNIST with 100 to 1,000 samples enough steps matter most, which batches of at most 32
    give within 40 epochs (a quarter of them costs 2 to 6 points). Soft labels bear a higher
    learning rate, 3e-3 to 1e-2, than hard ones, 1e-3 to 3e-3. Any τ from 2 to 8 and α of 0.9 or 1
    come within half a point of each other.
    """

    epochs: Count = 40  # visits of each sample
    batch_size: Annotated[Count, Field(ge=2)] = 32  # samples of a step, at most
    learning_rate: Positive = 3e-3  # the first, of Adam
    tau: Positive = 4.0  # temperature τ
    alpha: Fraction = 0.9  # weight of the soft labels

    def steps(self, samples: int) -> int:
        """Updates of the weights that a training with so many samples takes."""
        return self.epochs * self.batches(samples)

    def batches(self, samples: int) -> int:
        """Batches of an epoch, of two samples or more."""
        return max(1, min(-(-samples // self.batch_size), samples // 2))


class Diverged(DtkdError):
    """A training whose loss is not finite any more; the message has its settings."""


@dataclass(frozen=True)
class TrainResult:
    """A trained network in evaluation mode; `loss` is that of the last batch."""

    network: nn.Module
    steps: int
    seconds: float
    loss: float


def train(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    soft: Tensor | None = None,
    soft_mask: Tensor | None = None,
    *,
    config: TrainConfig,
    seed: int,
    device: str = "cpu",
    callback: Callable[[float], None] | None = None,
) -> TrainResult:
    """Train a network in place by Adam, the learning rate falling to 0 by half a cosine.

    The schedule is that of Loshchilov, Hutter, "SGDR: Stochastic gradient descent with warm
    restarts", 2017, without restarts, a step at a time.

    Parameters
    ----------
    network
        Turns images into (n, K) logits.
    images, labels
        (n, C, H, W) and (n,).
    soft
        (n, K) teacher's logits; None to train with the labels alone.
    soft_mask
        (n,) bool: which samples have a soft label; None for all.
    config
        Epochs, batch size, learning rate, temperature and weight.
    seed
        Of the order of samples; on a CPU, the same seed gives the same weights, bit for bit.
    device
        `cpu` or `cuda`, there with mixed precision (bfloat16).
    callback
        Called after each epoch with the fraction of the training that is done.

    Raises
    ------
    Diverged
        When the loss is NaN or infinite at the end of an epoch.
    """
    started = time.perf_counter()
    count = len(images)
    data = [images, labels]
    if soft is not None:
        mask = torch.ones(count) if soft_mask is None else soft_mask.float()
        data += [soften(soft, config.tau), config.alpha * mask]
    data = [part.to(device) for part in data]
    data[0] = data[0].contiguous(memory_format=LAYOUT)
    steps, per_epoch = config.steps(count), config.batches(count)
    network = network.to(device, memory_format=LAYOUT).train()  # type: ignore[call-overload]
    adam = torch.optim.Adam(network.parameters(), lr=config.learning_rate, fused=True)
    forward = _forward(network, device)
    with one_thread():
        for step, batch in enumerate(islice(_batches(data, per_epoch, seed), steps), start=1):
            # not torch's CosineAnnealingLR: it takes ten times as long, and a step may take 0.15 ms
            cosine = (1 + math.cos(math.pi * (step - 1) / steps)) / 2
            adam.param_groups[0]["lr"] = config.learning_rate * cosine
            loss = _loss(forward(batch[0]), batch, config.tau)
            torch.autograd.backward(loss)
            adam.step()
            adam.zero_grad()
            if step % per_epoch == 0 or step == steps:
                _check(loss.item(), step, config)
                if callback is not None:
                    callback(step / steps)
    return TrainResult(network.eval(), steps, time.perf_counter() - started, loss.item())


def _batches(data: list[Tensor], per_epoch: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Batches without end; every epoch all samples in a new order.

    They are views of one copy of the data, which is put in order anew for each epoch.
    """
    generator = torch.Generator().manual_seed(seed)
    copies = [torch.empty_like(part) for part in data]
    batches = list(zip(*(copy.tensor_split(per_epoch) for copy in copies), strict=True))
    while True:
        order = torch.randperm(len(data[0]), generator=generator).to(data[0].device)
        for part, copy in zip(data, copies, strict=True):
            torch.index_select(part, 0, order, out=copy)
        yield from batches


def _forward(network: nn.Module, device: str) -> Callable[[Tensor], Tensor]:
    """The network's call, on a GPU in mixed precision."""
    if device == "cpu":
        return network
    forward: Callable[[Tensor], Tensor] = torch.autocast(device, torch.bfloat16)(network.__call__)
    return forward


def _loss(logits: Tensor, batch: tuple[Tensor, ...], tau: float) -> Tensor:
    _, labels, *soft = batch
    if not soft:
        return cross_entropy(logits.float(), labels)
    return distillation_loss(logits.float(), labels, soft[0], soft[1], tau)


def _check(loss: float, step: int, config: TrainConfig) -> None:
    if not math.isfinite(loss):
        settings = ", ".join(f"{key} {value:g}" for key, value in config.model_dump().items())
        raise Diverged(f"loss is {loss} after {step} steps ({settings}); lower the learning rate")


@torch.inference_mode()
def predict(network: nn.Module, images: Tensor, device: str = "cpu", batch: int = 1000) -> Tensor:
    """(n, K) logits of (n, C, H, W) images, on the CPU."""
    network = network.to(device, memory_format=LAYOUT).eval()  # type: ignore[call-overload]
    with one_thread():
        parts = (part.to(device, memory_format=LAYOUT) for part in torch.split(images, batch))
        return torch.cat([network(part).cpu() for part in parts])


def accuracy(network: nn.Module, images: Tensor, labels: Tensor, device: str = "cpu") -> float:
    """Fraction of the images whose greatest logit is that of their label."""
    hits = predict(network, images, device).argmax(dim=1) == labels
    return int(hits.sum()) / len(labels)

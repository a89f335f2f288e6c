"""What device and server do, each with what it holds and the parcel that it got, and no more.

Order of samples, first weights and seeds are those of the question, so that engines agree bit for
bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dtkd_opt.distill.networks import build_network
from dtkd_opt.distill.training import TrainResult, predict, train
from dtkd_opt.federate.party_data import Agent, Common, Device
from dtkd_opt.federate.serialization import (
    Payload,
    pack_logits,
    pack_samples,
    unpack_logits,
    unpack_samples,
    unpack_weights,
)
from dtkd_opt.federate.spec import Asked, Begun


def send_fresh(common: Common, device: Device) -> Payload:
    """Device to server: the fresh samples."""
    return pack_samples(device.samples.part(slice(device.fresh)), common.classes)


def send_labels(agent: Agent | None, asked: Asked) -> Payload:
    """Server to device: the teacher's labels of the mirrored samples, which the twin has.

    Nothing to a student that learns from hard labels alone.
    """
    if asked.hard:
        return {}
    assert agent is not None  # there is a teacher
    return pack_logits(agent.logits)


def train_on_device(common: Common, device: Device, asked: Asked, labels: Payload) -> TrainResult:
    """Train on the device: soft labels of mirrored samples, hard labels alone of fresh ones."""
    return train(
        first_student(common, asked),
        common.scale.standardise(device.samples.raw),
        torch.from_numpy(device.samples.labels),
        *(() if asked.hard else _soft(common, device, labels)),
        config=asked.recipe,
        seed=asked.seed,
    )


def _soft(common: Common, device: Device, labels: Payload) -> tuple[Tensor, Tensor]:
    """The logits of all samples, and which of them have some."""
    none = torch.zeros(device.fresh, common.classes)
    logits = torch.cat([none, unpack_logits(labels, common)])
    return logits, torch.arange(len(device.samples)) >= device.fresh


def train_at_server(common: Common, agent: Agent, asked: Asked, fresh: Payload) -> TrainResult:
    """Distil at the server: the teacher labels the fresh samples, and all have soft labels."""
    uploaded = unpack_samples(fresh, common)
    samples = uploaded.and_then(agent.mirrored)
    images = common.scale.standardise(samples.raw)
    logits = [agent.logits]
    if len(uploaded):
        logits.insert(0, predict(agent.teacher, images[: len(uploaded)]))
    labels = torch.from_numpy(samples.labels)
    return train(
        first_student(common, asked), images, labels, torch.cat(logits),
        config=asked.recipe, seed=asked.seed,
    )  # fmt: skip


def first_student(common: Common, asked: Begun) -> nn.Module:
    """The student before its training."""
    return build_network(asked.student, common.shape, common.classes, asked.seed)


def receive(common: Common, asked: Begun, weights: Payload) -> nn.Module:
    """The student on the device, of the weights that the server sent."""
    network = first_student(common, asked)
    unpack_weights(weights, network)
    return network.eval()


def score(common: Common, network: nn.Module) -> float:
    """The student's accuracy on the device: the share of held-out samples that it labels right."""
    guess = predict(network, common.scale.standardise(common.test.raw)).argmax(dim=1)
    return int((guess.numpy() == common.test.labels).sum()) / len(common.test)

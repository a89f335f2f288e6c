"""The steps of device and server, each on its own data and the payload that it received.

Order of samples, first weights and seeds are those of the task, so that engines agree bit for bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dtkd_opt.distill.networks import build_network
from dtkd_opt.distill.training import TrainResult, predict, train
from dtkd_opt.federation.party_data import Agent, Common, Device
from dtkd_opt.federation.serialization import (
    Payload,
    pack_logits,
    pack_samples,
    unpack_logits,
    unpack_samples,
    unpack_weights,
)
from dtkd_opt.federation.user_training import StudentSpec, UserTraining


def send_fresh(common: Common, device: Device) -> Payload:
    """Device to server: the fresh samples."""
    return pack_samples(device.samples.select(slice(device.fresh)), common.classes)


def send_labels(agent: Agent | None, task: UserTraining) -> Payload:
    """Server to device: the teacher's labels of the mirrored samples, unless hard labels do."""
    if task.local_only:
        return {}
    assert agent is not None  # there is a teacher
    return pack_logits(agent.logits)


def train_on_device(
    common: Common, device: Device, task: UserTraining, labels: Payload
) -> TrainResult:
    """Train on the device: fresh samples have hard labels alone, mirrored ones soft labels too."""
    return train(
        first_student(common, task),
        common.scale.standardise(device.samples.raw),
        torch.from_numpy(device.samples.labels),
        *(() if task.local_only else _soft(common, device, labels)),
        config=task.config,
        seed=task.seed,
    )


def _soft(common: Common, device: Device, labels: Payload) -> tuple[Tensor, Tensor]:
    """Logits (n, K) of all samples, and the mask (n,) of those that have some."""
    fresh = torch.zeros(device.fresh, common.classes)
    logits = torch.cat([fresh, unpack_logits(labels, common)])
    return logits, torch.arange(len(device.samples)) >= device.fresh


def train_at_server(
    common: Common, agent: Agent, task: UserTraining, fresh: Payload
) -> TrainResult:
    """Distil at the server: the teacher labels the fresh samples, and all have soft labels."""
    uploaded = unpack_samples(fresh, common)
    samples = uploaded.concatenate(agent.mirrored)
    images = common.scale.standardise(samples.raw)
    logits = [agent.logits]
    if len(uploaded):
        logits.insert(0, predict(agent.teacher, images[: len(uploaded)]))
    labels = torch.from_numpy(samples.labels)
    return train(
        first_student(common, task), images, labels, torch.cat(logits),
        config=task.config, seed=task.seed,
    )  # fmt: skip


def first_student(common: Common, spec: StudentSpec) -> nn.Module:
    """The student before its training."""
    return build_network(spec.student, common.shape, common.classes, spec.seed)


def receive(common: Common, spec: StudentSpec, weights: Payload) -> nn.Module:
    """The student with the weights that the server sent."""
    network = first_student(common, spec)
    unpack_weights(weights, network)
    return network.eval()


def score(common: Common, network: nn.Module) -> float:
    """The student's accuracy on the device: the share of held-out samples that it labels right."""
    predicted = predict(network, common.scale.standardise(common.test.raw)).argmax(dim=1)
    return int((predicted.numpy() == common.test.labels).sum()) / len(common.test)

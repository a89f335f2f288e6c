"""The data of each party: the device's private samples, the digital agent's mirrored ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from dtkd_opt.distill.data import Dataset, Scale
from dtkd_opt.distill.networks import Shape
from dtkd_opt.distill.teacher import Teacher
from dtkd_opt.federation.shards import Shard
from dtkd_opt.records.arrays import Index


@dataclass(frozen=True, eq=False)
class Samples:
    """Images (n, C, H, W) as they were stored, and their labels (n,) int64."""

    raw: NDArray[Any]
    labels: Index

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: slice) -> Samples:
        """Some of the samples."""
        return Samples(self.raw[rows], self.labels[rows])

    def concatenate(self, others: Samples) -> Samples:
        """These samples, and others after them."""
        raw = np.concatenate([self.raw, others.raw])
        return Samples(raw, np.concatenate([self.labels, others.labels]))


@dataclass(frozen=True, eq=False)
class Common:
    """What all parties know: scale and classes of the data, and its held-out samples."""

    scale: Scale
    classes: int
    test: Samples

    @property
    def shape(self) -> Shape:
        """Channels, height and width of an image."""
        channels, height, width = self.test.raw.shape[1:]
        return channels, height, width


@dataclass(frozen=True, eq=False)
class Device:
    """What a user's device holds: its private samples, of which the first `fresh` are fresh."""

    samples: Samples
    fresh: int


@dataclass(frozen=True, eq=False)
class Agent:
    """What a user's digital agent holds: the samples that the twin mirrors, in the device's order.

    `logits` (n, K) are the teacher's of them.
    """

    mirrored: Samples
    logits: Tensor
    teacher: nn.Module


@dataclass(frozen=True, eq=False)
class PartyData:
    """What a user's device and agent hold. An engine passes only payloads between them.

    With hard labels alone there is no teacher, and no agent.
    """

    common: Common
    device: Device
    agent: Agent | None


def samples_at(data: Dataset, rows: Index) -> Samples:
    """The samples of some rows."""
    return Samples(data.raw[rows], data.labels.numpy()[rows])


def common_of(data: Dataset) -> Common:
    """What all parties know of a data set: users are scored on its test split."""
    return Common(data.scale, data.classes, samples_at(data, data.test))


def party_data_of(
    data: Dataset, common: Common, shard: Shard, teacher: Teacher | None
) -> PartyData:
    """What the device and the agent of the user with this shard hold."""
    device = Device(samples_at(data, shard.rows), shard.fresh)
    if teacher is None:
        return PartyData(common, device, None)
    agent = Agent(
        device.samples.select(slice(shard.fresh, None)),
        teacher.logits[shard.mirrored],
        teacher.network,
    )
    return PartyData(common, device, agent)

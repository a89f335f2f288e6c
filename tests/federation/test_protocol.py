"""The protocol: device and server learn from their own data and the payload alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.networks import build_network
from dtkd_opt.distill.teacher import Teacher, load_teacher
from dtkd_opt.distill.training import TrainConfig, predict, train
from dtkd_opt.federation import protocol
from dtkd_opt.federation.party_data import PartyData, common_of, party_data_of
from dtkd_opt.federation.serialization import (
    pack_weights,
)
from dtkd_opt.federation.shards import (
    Shard,
)
from dtkd_opt.federation.user_training import UserTraining

CONFIG = TrainConfig(epochs=2, batch_size=16, learning_rate=1e-2)


@pytest.fixture(scope="session")
def teacher(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    """Of few samples and epochs, so that it is unsure."""
    few = TrainConfig(epochs=2, batch_size=32)
    return load_teacher(data, tmp_path_factory.mktemp("t"), config=few, rows=data.train[:300])


@pytest.fixture(scope="session")
def shard(data: Dataset) -> Shard:
    return Shard(data.train[400:520], 50)


def task_of(place: Any, party: PartyData) -> UserTraining:
    return UserTraining(
        user="u", student="cnn_m", place=place, config=CONFIG, seed=5, data="digits",
        data_sha256="", samples=len(party.device.samples), fresh=party.device.fresh,
        shard_sha256="", teacher_sha256="", version="",
    )  # fmt: skip


def test_standardised_samples_are_the_data_sets(data: Dataset) -> None:
    rows = data.train[[5, 3, 900]]
    assert torch.equal(data.scale.standardise(data.raw[rows]), data.images[rows])


def test_the_server_learns_from_all_samples_and_gets_the_fresh_ones_only(
    data: Dataset, teacher: Teacher, shard: Shard
) -> None:
    party = party_data_of(data, common_of(data), shard, teacher)
    assert party.agent is not None
    payload = protocol.send_fresh(party.common, party.device)
    images, labels = data.raw[shard.rows[:50]], data.labels[shard.rows[:50]].numpy()
    assert payload == {"images": images.tobytes(), "labels": labels.astype(np.uint8).tobytes()}
    shapes = (*party.agent.mirrored.raw.shape, *party.agent.logits.shape)
    assert shapes == (70, 1, 8, 8, 70, 10)
    task = task_of("server", party)
    found = protocol.train_at_server(party.common, party.agent, task, payload)
    fresh = predict(teacher.network, data.images[shard.rows[:50]])
    soft = torch.cat([fresh, teacher.logits[shard.rows[50:]]])
    rows = shard.rows
    expected = train(
        build_network("cnn_m", data.shape, 10, 5), data.images[rows], data.labels[rows], soft,
        config=CONFIG, seed=5,
    )  # fmt: skip
    assert torch.equal(predict(found.network, data.images), predict(expected.network, data.images))
    received = protocol.receive(party.common, task, pack_weights(found.network))
    hits = predict(expected.network, data.images[data.test]).argmax(1) == data.labels[data.test]
    assert protocol.score(party.common, received) == int(hits.sum()) / 449


def test_the_device_has_soft_labels_of_mirrored_samples_only(
    data: Dataset, teacher: Teacher, shard: Shard
) -> None:
    party = party_data_of(data, common_of(data), shard, teacher)
    assert party.agent is not None
    task = task_of("device", party)
    payload = protocol.send_labels(party.agent, task)
    assert payload == {"logits": teacher.logits[shard.rows[50:]].numpy().tobytes()}
    found = protocol.train_on_device(party.common, party.device, task, payload)
    rows, mask = shard.rows, torch.arange(120) >= 50
    expected = train(
        build_network("cnn_m", data.shape, 10, 5), data.images[rows], data.labels[rows],
        teacher.logits[rows], mask, config=CONFIG, seed=5,
    )  # fmt: skip
    assert torch.equal(predict(found.network, data.images), predict(expected.network, data.images))
    fewer = party_data_of(data, party.common, Shard(rows, 60), teacher)
    labels = protocol.send_labels(fewer.agent, task)
    other = protocol.train_on_device(party.common, fewer.device, task, labels)
    assert not torch.equal(predict(other.network, data.images), predict(found.network, data.images))

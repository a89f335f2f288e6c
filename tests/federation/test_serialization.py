"""Payloads: samples, logits and weights are sent unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dtkd_opt.distill.costs import count_costs
from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.networks import STUDENTS, build_network
from dtkd_opt.distill.training import TrainConfig, predict, train
from dtkd_opt.federation.party_data import Common, Samples, common_of
from dtkd_opt.federation.serialization import (
    pack_logits,
    pack_samples,
    pack_weights,
    payload_bits,
    unpack_logits,
    unpack_samples,
    unpack_weights,
)

CONFIG = TrainConfig(epochs=2, batch_size=16, learning_rate=1e-2)


@pytest.mark.parametrize(
    ("kind", "classes", "channels"), [("u1", 10, 1), (">f4", 300, 3), ("f8", 2, 1), ("?", 256, 1)]
)
def test_samples_are_sent_unchanged(kind: str, classes: int, channels: int) -> None:
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 2 if kind == "?" else 200, (7, channels, 8, 9)).astype(kind)
    samples = Samples(raw, rng.integers(0, classes, 7))
    payload = pack_samples(samples, classes)
    pixels = 8 * np.dtype(kind).itemsize * channels * 72
    assert payload_bits(payload) == 7 * (pixels + (16 if classes > 256 else 8))
    none: Any = None
    found = unpack_samples(payload, Common(none, classes, samples))
    assert np.array_equal(found.raw, raw)
    assert found.raw.dtype == raw.dtype
    assert np.array_equal(found.labels, samples.labels)


def test_logits_are_sent_unchanged(data: Dataset) -> None:
    logits = torch.randn(9, 10)
    payload = pack_logits(logits)
    assert payload_bits(payload) == 9 * 10 * 32
    assert torch.equal(unpack_logits(payload, common_of(data)), logits)
    assert unpack_logits(pack_logits(logits[:0]), common_of(data)).shape == (0, 10)


@pytest.mark.parametrize("name", STUDENTS)
def test_weights_are_sent_unchanged(name: str, data: Dataset) -> None:
    """Running statistics as well, and with a training's layout in memory."""
    images, labels = data.images[:64], data.labels[:64]
    trained = train(
        build_network(name, data.shape, 10, 1), images, labels, config=CONFIG, seed=1
    ).network
    payload = pack_weights(trained)
    assert payload_bits(payload) == count_costs(trained, data.shape).bits
    received = build_network(name, data.shape, 10, 2)
    unpack_weights(payload, received)
    assert torch.equal(predict(received, data.images), predict(trained, data.images))

"""The training loop: repeatable, its schedule, its batches, its faults."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.networks import build_network
from dtkd_opt.distill.training import Diverged, TrainConfig, accuracy, predict, train
from tests.support.calibrating import SHORT, shard


@pytest.mark.parametrize("name", ["mlp16", "lenet_s", "resnet8"])
def test_one_seed_gives_one_training_bit_for_bit(digits: Dataset, name: str) -> None:
    images, labels = shard(digits, 50)
    soft = torch.randn(50, 10, generator=torch.Generator().manual_seed(0))
    found = []
    for seed in (0, 0, 1):
        network = build_network(name, digits.shape, 10, seed=0)
        train(network, images, labels, soft, config=SHORT, seed=seed)
        found.append(torch.cat([value.ravel() for value in network.state_dict().values()]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_without_a_mirrored_sample_soft_labels_change_nothing(digits: Dataset) -> None:
    images, labels = shard(digits, 50)
    soft, none = torch.randn(50, 10), torch.zeros(50, dtype=torch.bool)
    networks = [build_network("mlp16", digits.shape, 10, seed=0) for _ in range(2)]
    train(networks[0], images, labels, config=SHORT, seed=0)
    train(networks[1], images, labels, soft, none, config=SHORT, seed=0)
    for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_students_learn_the_labels_and_what_the_teacher_says(digits: Dataset) -> None:
    images, labels = shard(digits, 500)
    test = digits.images[digits.test], digits.labels[digits.test]
    config = TrainConfig(epochs=20, batch_size=32, learning_rate=5e-3)
    network = build_network("mlp64", digits.shape, 10, seed=0)
    train(network, images, labels, config=config, seed=0)
    assert accuracy(network, *test) > 0.9
    turned = torch.nn.functional.one_hot((labels + 1) % 10, 10) * 20.0  # a teacher that is wrong
    network = build_network("mlp64", digits.shape, 10, seed=0)
    train(network, images, labels, turned, config=config, seed=0)
    assert accuracy(network, test[0], (test[1] + 1) % 10) > 0.85


def test_an_epoch_is_told_and_takes_all_batches(digits: Dataset) -> None:
    told: list[float] = []
    network = build_network("logreg", digits.shape, 10, seed=0)
    trained = train(network, *shard(digits, 50), config=SHORT, seed=0, callback=told.append)
    assert (trained.steps, told) == (8, [0.5, 1.0])  # 4 batches of 12 or 13 in each of 2 epochs


@pytest.mark.parametrize(("samples", "batches"), [(2, 1), (3, 1), (5, 2), (16, 4), (17, 5)])
def test_no_batch_holds_a_sample_alone(digits: Dataset, samples: int, batches: int) -> None:
    """Of one sample and one pixel, as here, there is no variance to normalise by."""
    config = TrainConfig(epochs=1, batch_size=4)
    network = build_network("resnet8", digits.shape, 10, seed=0)
    assert train(network, *shard(digits, samples), config=config, seed=0).steps == batches


def test_a_training_that_diverges_tells_its_settings(digits: Dataset) -> None:
    network = build_network("mlp16", digits.shape, 10, seed=0)
    wild = TrainConfig(epochs=3, batch_size=16, learning_rate=1e30)
    with pytest.raises(Diverged, match=r"loss is \w+ after \d+ steps .*rate 1e\+30.*lower"):
        train(network, *shard(digits, 50), config=wild, seed=0)


@pytest.mark.parametrize("package", ["torch", "safetensors"])
def test_a_missing_package_is_told_in_one_line(package: str) -> None:
    code = (
        f"import sys; sys.modules['{package}'] = None\n"
        "from dtkd_opt.errors import InputError\n"
        "try: import dtkd_opt.distill.training\n"
        "except InputError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == f'distillation: needs {package}: pip install "dtkd-opt[train]"\n'


def test_logits_are_those_of_all_samples_in_order(digits: Dataset) -> None:
    network = build_network("cnn_m", digits.shape, 10, seed=0)
    at_once = predict(network, digits.images, batch=len(digits.labels))
    in_parts = predict(network, digits.images, batch=100)
    np.testing.assert_allclose(at_once.numpy(), in_parts.numpy(), atol=1e-5)


@pytest.mark.parametrize("steps", [1, 7, 280, 3760])
def test_learning_rates_fall_by_half_a_cosine(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """η_k = η (1 + cos(π k / n)) / 2 at step k of n: every rate, to rounding."""
    rates: list[float] = []
    step = torch.optim.Adam.step

    def watched(adam: torch.optim.Adam, *given: Any) -> Any:
        rates.append(adam.param_groups[0]["lr"])
        return step(adam, *given)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    network, samples = torch.nn.Linear(1, 2), torch.ones(2, 1, 1, 1)
    model = torch.nn.Sequential(torch.nn.Flatten(), network)
    config = TrainConfig(epochs=steps, learning_rate=3e-3)
    train(model, samples, torch.tensor([0, 1]), config=config, seed=0)
    expected = [3e-3 * (1 + math.cos(math.pi * k / steps)) / 2 for k in range(steps)]
    assert rates == pytest.approx(expected, rel=1e-13, abs=1e-18)

"""Networks and their costs, the loss by hand, the loop, and the teacher's file."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import dtkd_opt as do
from dtkd_opt.distill.costs import count_costs
from dtkd_opt.distill.data import Dataset, load_data
from dtkd_opt.distill.loss import distillation_loss, soften
from dtkd_opt.distill.networks import STUDENTS, TEACHER, build_network
from dtkd_opt.distill.teacher import load_teacher, teacher_recipe
from dtkd_opt.distill.training import Diverged, TrainConfig, accuracy, predict, train

QUICK = TrainConfig(epochs=2, batch_size=16, learning_rate=2e-3)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data("digits")


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


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 17), (3, 32, 32)])
@pytest.mark.parametrize("name", [*STUDENTS, TEACHER])
def test_networks_take_images_of_any_shape(name: str, shape: tuple[int, int, int]) -> None:
    network = build_network(name, shape, 5, seed=0)
    assert predict(network, torch.zeros(3, *shape)).shape == (3, 5)


def test_a_seed_fixes_the_weights_and_nothing_else() -> None:
    state = torch.random.get_rng_state()
    first, again, other = (build_network("cnn_m", (1, 8, 8), 10, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))
    with pytest.raises(do.UsageError, match="no student is named 'vgg'; there are logreg"):
        build_network("vgg", (1, 8, 8), 10, 0)


LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], dtype=torch.float64)
TAUGHT = torch.tensor([[4.0, 1.0, -1.0], [1.0, -1.0, 0.5]], dtype=torch.float64)
LABELS = torch.tensor([0, 2])


@pytest.mark.parametrize(
    ("alpha", "tau", "value"),
    [
        (0.0, 1.0, 2.6481482660171522),
        (1.0, 1.0, 1.3989332549346839),
        (0.9, 4.0, 2.3807707905324046),
        (0.5, 2.0, 2.3217362946321143),
    ],
)
def test_loss_is_what_the_formula_gives(alpha: float, tau: float, value: float) -> None:
    """Values from the formula in 30 digits, without torch (mpmath)."""
    loss = distillation_loss(LOGITS, LABELS, soften(TAUGHT, tau), alpha, tau)
    assert loss.item() == pytest.approx(value, rel=1e-14)


def test_samples_without_soft_label_count_by_cross_entropy_alone() -> None:
    weights = torch.tensor([0.9, 0.0], dtype=torch.float64)
    both = distillation_loss(LOGITS, LABELS, soften(TAUGHT, 4.0), weights, 4.0)
    soft, hard = (
        distillation_loss(LOGITS[i : i + 1], LABELS[i : i + 1], soften(TAUGHT, 4.0)[i], alpha, 4.0)
        for i, alpha in ((0, 0.9), (1, 0.0))
    )
    assert both.item() == pytest.approx((soft + hard).item() / 2, rel=1e-14)


def test_hot_soft_labels_match_logits() -> None:
    """As τ grows, the gradient is the difference of centred logits over K: Hinton et al., eq. 4."""
    logits = LOGITS.clone().requires_grad_()
    loss = distillation_loss(logits, LABELS, soften(TAUGHT, 1e4), 1.0, 1e4)
    (gradient,) = torch.autograd.grad(loss, logits)
    difference = (LOGITS - LOGITS.mean(1, keepdim=True)) - (TAUGHT - TAUGHT.mean(1, keepdim=True))
    torch.testing.assert_close(gradient, difference / 3 / len(LOGITS), rtol=1e-3, atol=0)


def shard(data: Dataset, count: int) -> tuple[Tensor, Tensor]:
    rows = data.train[:count]
    return data.images[rows], data.labels[rows]


@pytest.mark.parametrize("name", ["mlp16", "lenet_s", "resnet8"])
def test_one_seed_gives_one_training_bit_for_bit(digits: Dataset, name: str) -> None:
    images, labels = shard(digits, 50)
    soft = torch.randn(50, 10, generator=torch.Generator().manual_seed(0))
    found = []
    for seed in (0, 0, 1):
        network = build_network(name, digits.shape, 10, seed=0)
        train(network, images, labels, soft, recipe=QUICK, seed=seed)
        found.append(torch.cat([value.ravel() for value in network.state_dict().values()]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_without_a_mirrored_sample_soft_labels_change_nothing(digits: Dataset) -> None:
    images, labels = shard(digits, 50)
    soft, none = torch.randn(50, 10), torch.zeros(50, dtype=torch.bool)
    networks = [build_network("mlp16", digits.shape, 10, seed=0) for _ in range(2)]
    train(networks[0], images, labels, recipe=QUICK, seed=0)
    train(networks[1], images, labels, soft, none, recipe=QUICK, seed=0)
    for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_students_learn_the_labels_and_what_the_teacher_says(digits: Dataset) -> None:
    images, labels = shard(digits, 500)
    test = digits.images[digits.test], digits.labels[digits.test]
    recipe = TrainConfig(epochs=20, batch_size=32, learning_rate=5e-3)
    network = build_network("mlp64", digits.shape, 10, seed=0)
    train(network, images, labels, recipe=recipe, seed=0)
    assert accuracy(network, *test) > 0.9
    turned = torch.nn.functional.one_hot((labels + 1) % 10, 10) * 20.0  # a teacher that is wrong
    network = build_network("mlp64", digits.shape, 10, seed=0)
    train(network, images, labels, turned, recipe=recipe, seed=0)
    assert accuracy(network, test[0], (test[1] + 1) % 10) > 0.85


def test_an_epoch_is_told_and_takes_all_batches(digits: Dataset) -> None:
    told: list[float] = []
    network = build_network("logreg", digits.shape, 10, seed=0)
    trained = train(network, *shard(digits, 50), recipe=QUICK, seed=0, progress=told.append)
    assert (trained.steps, told) == (8, [0.5, 1.0])  # 4 batches of 12 or 13 in each of 2 epochs


@pytest.mark.parametrize(("samples", "batches"), [(2, 1), (3, 1), (5, 2), (16, 4), (17, 5)])
def test_no_batch_holds_a_sample_alone(digits: Dataset, samples: int, batches: int) -> None:
    """Of one sample and one pixel, as here, there is no variance to normalise by."""
    recipe = TrainConfig(epochs=1, batch_size=4)
    network = build_network("resnet8", digits.shape, 10, seed=0)
    assert train(network, *shard(digits, samples), recipe=recipe, seed=0).steps == batches


def test_a_training_that_diverges_tells_its_recipe(digits: Dataset) -> None:
    network = build_network("mlp16", digits.shape, 10, seed=0)
    wild = TrainConfig(epochs=3, batch_size=16, learning_rate=1e30)
    with pytest.raises(Diverged, match=r"loss is \w+ after \d+ steps .*rate 1e\+30.*lower"):
        train(network, *shard(digits, 50), recipe=wild, seed=0)


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    """The first of the digits: a teacher of them is trained in no time."""
    parts = {"train": np.arange(90), "validation": np.arange(90, 100), "test": np.arange(100, 120)}
    return replace(digits, images=digits.images[:120], labels=digits.labels[:120], **parts)


def test_the_teacher_is_trained_once(few: Dataset, tmp_path: Path) -> None:
    said: list[str] = []
    cache, told = tmp_path / "new" / "folder", list[float]()
    teacher = load_teacher(few, cache, recipe=QUICK, progress=told.append)
    again = load_teacher(few, cache, recipe=QUICK, progress=told.append, say=said.append)
    assert told == [0.5, 1.0]
    assert (again.sha256, said) == (teacher.sha256, [])
    assert torch.equal(again.logits, teacher.logits)
    torch.testing.assert_close(predict(again.network, few.images), teacher.logits)
    hits = teacher.logits[few.test].argmax(1) == few.labels[few.test]
    assert teacher.accuracy(few, few.test) == pytest.approx(hits.double().mean().item())


def test_other_settings_are_other_teachers(few: Dataset, tmp_path: Path) -> None:
    first = load_teacher(few, tmp_path, recipe=QUICK)
    others = [
        load_teacher(few, tmp_path, recipe=QUICK, seed=1),
        load_teacher(few, tmp_path, recipe=QUICK, rows=few.train[:50]),
        load_teacher(few, tmp_path, recipe=TrainConfig(epochs=1, batch_size=64)),
    ]
    assert len({teacher.sha256 for teacher in [first, *others]}) == 4
    assert len(list(tmp_path.iterdir())) == 4


def test_a_teacher_of_another_torch_or_device_is_not_taken(
    few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_teacher(few, tmp_path, recipe=QUICK)
    monkeypatch.setattr(torch, "__version__", "2.3.0")
    load_teacher(few, tmp_path, recipe=QUICK)
    load_teacher(few, tmp_path, recipe=QUICK, device="cpu:0")
    assert len(list(tmp_path.iterdir())) == 3


def test_small_data_sets_teach_for_more_epochs() -> None:
    assert [teacher_recipe(count).epochs for count in (55_000, 6251, 6250, 1169)] == [4, 4, 4, 22]
    assert teacher_recipe(6249).epochs == 5


def flipped(data: bytes) -> bytes:
    """One bit of the last weight."""
    return data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "text", "other"])
def test_a_damaged_file_is_told_and_made_anew(few: Dataset, tmp_path: Path, damage: str) -> None:
    teacher = load_teacher(few, tmp_path, recipe=QUICK)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    if damage == "other":
        load_teacher(few, tmp_path, recipe=QUICK, seed=1)
        (other,) = set(tmp_path.iterdir()) - {path}
        bad = other.read_bytes()
    else:
        bad = {
            "flipped": flipped(whole),
            "cut": whole[: len(whole) // 2],
            "empty": b"",
            "text": b"hello, this is no safetensors file",
        }[damage]
    path.write_bytes(bad)
    said: list[str] = []
    again = load_teacher(few, tmp_path, recipe=QUICK, say=said.append)
    assert again.sha256 == teacher.sha256
    assert len(said) == 1
    assert said[0].endswith("training the teacher anew")
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_made_is_told(few: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(do.InputError, match=r"file.*: cannot be made"):
        load_teacher(few, tmp_path / "file" / "folder", recipe=QUICK)


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

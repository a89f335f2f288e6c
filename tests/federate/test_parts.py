"""The parts of `federate`: shards, parcels, both sides, the clock."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import dtkd_opt as do
from dtkd_opt.distill import costs
from dtkd_opt.distill.costs import count_costs
from dtkd_opt.distill.data import Dataset, load_data
from dtkd_opt.distill.networks import STUDENTS, build_network
from dtkd_opt.distill.teacher import Teacher, load_teacher
from dtkd_opt.distill.training import TrainConfig, predict, train
from dtkd_opt.federate import protocol as sides
from dtkd_opt.federate.party_data import Case, Common, Samples, case_of, common_of
from dtkd_opt.federate.serialization import (
    pack_logits,
    pack_samples,
    pack_weights,
    parcel_bits,
    unpack_logits,
    unpack_samples,
    unpack_weights,
)
from dtkd_opt.federate.setup import Settings, prepare
from dtkd_opt.federate.shards import Shard, deal, shard_notes, training_seed, twins_rows
from dtkd_opt.federate.spec import Asked
from dtkd_opt.federate.timeline import clock, planned
from dtkd_opt.proof.check import plan_of
from tests.support.federating import SHARES, instance
from tests.support.helpers import INSTANCES

RECIPE = TrainConfig(epochs=2, batch_size=16, learning_rate=1e-2)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_data("digits")


@pytest.fixture(scope="module")
def teacher(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    """Of few samples and epochs, so that it is unsure."""
    few = TrainConfig(epochs=2, batch_size=32)
    return load_teacher(data, tmp_path_factory.mktemp("t"), config=few, rows=data.train[:300])


def test_shards_are_disjoint_where_the_data_is_enough(data: Dataset) -> None:
    problem = instance()
    shards = deal(data, problem, "iid", 3)
    assert [(len(s.rows), s.fresh) for s in shards] == [(240, 120), (120, 30), (100, 0), (60, 60)]
    everything = np.concatenate([shard.rows for shard in shards])
    assert len(np.unique(everything)) == 520
    assert set(everything) <= set(data.train)
    fresh = np.concatenate([shard.rows[: shard.fresh] for shard in shards])
    taught = twins_rows(shards)
    assert len(taught) == 520 - len(fresh)
    assert not set(taught) & set(fresh)
    assert shard_notes(data, shards) == []
    again, other = deal(data, problem, "iid", 3), deal(data, problem, "iid", 4)
    assert [s.sha256 for s in again] == [s.sha256 for s in shards]
    assert all(a.sha256 != b.sha256 for a, b in zip(other, shards, strict=True))


@pytest.mark.parametrize("partition", ["iid", "dirichlet(0.3)"])
def test_more_samples_than_there_are_overlap_and_it_is_told(data: Dataset, partition: str) -> None:
    shares = ((1500, 0.2, "server"), (1500, 0.2, "device"), (200, 0.2, "device"))
    shards = deal(data, instance(shares=shares), partition, 0)
    assert [(len(s.rows), s.fresh) for s in shards] == [(1500, 300), (1500, 300), (200, 40)]
    assert not np.array_equal(shards[0].rows, shards[1].rows)
    counts = np.bincount(data.labels.numpy()[shards[2].rows], minlength=10)
    assert (counts.std() > 10) == (partition != "iid")
    told = " ".join(shard_notes(data, shards))
    assert "3,200 samples, more than the 1,169" in told
    assert "2 of 3 users have more" in told


def test_without_mirrored_samples_there_is_no_teacher() -> None:
    with pytest.raises(do.InputError, match="the twins mirror nothing to train a teacher on"):
        twins_rows([Shard(np.arange(5), 5)])


def test_seeds_of_users_differ() -> None:
    seeds = {training_seed(seed, user) for seed in range(20) for user in range(20)}
    assert len(seeds) == 400


@pytest.mark.parametrize(
    ("kind", "classes", "channels"), [("u1", 10, 1), (">f4", 300, 3), ("f8", 2, 1), ("?", 256, 1)]
)
def test_samples_cross_unchanged(kind: str, classes: int, channels: int) -> None:
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 2 if kind == "?" else 200, (7, channels, 8, 9)).astype(kind)
    samples = Samples(raw, rng.integers(0, classes, 7))
    parcel = pack_samples(samples, classes)
    pixels = 8 * np.dtype(kind).itemsize * channels * 72
    assert parcel_bits(parcel) == 7 * (pixels + (16 if classes > 256 else 8))
    none: Any = None
    found = unpack_samples(parcel, Common(none, classes, samples))
    assert np.array_equal(found.raw, raw)
    assert found.raw.dtype == raw.dtype
    assert np.array_equal(found.labels, samples.labels)


def test_logits_cross_unchanged(data: Dataset) -> None:
    logits = torch.randn(9, 10)
    parcel = pack_logits(logits)
    assert parcel_bits(parcel) == 9 * 10 * 32
    assert torch.equal(unpack_logits(parcel, common_of(data)), logits)
    assert unpack_logits(pack_logits(logits[:0]), common_of(data)).shape == (0, 10)


@pytest.mark.parametrize("name", STUDENTS)
def test_weights_cross_unchanged(name: str, data: Dataset) -> None:
    """Running statistics as well, and with a training's layout in memory."""
    images, labels = data.images[:64], data.labels[:64]
    trained = train(
        build_network(name, data.shape, 10, 1), images, labels, config=RECIPE, seed=1
    ).network
    parcel = pack_weights(trained)
    assert parcel_bits(parcel) == count_costs(trained, data.shape).bits
    received = build_network(name, data.shape, 10, 2)
    unpack_weights(parcel, received)
    assert torch.equal(predict(received, data.images), predict(trained, data.images))


def test_standardised_samples_are_the_data_sets(data: Dataset) -> None:
    rows = data.train[[5, 3, 900]]
    assert torch.equal(data.scale.standardise(data.raw[rows]), data.images[rows])


def question(place: Any, case: Case) -> Asked:
    return Asked(
        user="u", student="cnn_m", place=place, recipe=RECIPE, seed=5, data="digits",
        data_sha256="", samples=len(case.device.samples), fresh=case.device.fresh,
        shard_sha256="", teacher_sha256="", version="",
    )  # fmt: skip


@pytest.fixture(scope="module")
def shard(data: Dataset) -> Shard:
    return Shard(data.train[400:520], 50)


def test_the_server_learns_from_all_samples_and_gets_the_fresh_ones_only(
    data: Dataset, teacher: Teacher, shard: Shard
) -> None:
    case = case_of(data, common_of(data), shard, teacher)
    assert case.agent is not None
    parcel = sides.send_fresh(case.common, case.device)
    images, labels = data.raw[shard.rows[:50]], data.labels[shard.rows[:50]].numpy()
    assert parcel == {"images": images.tobytes(), "labels": labels.astype(np.uint8).tobytes()}
    held = (*case.agent.mirrored.raw.shape, *case.agent.logits.shape)
    assert held == (70, 1, 8, 8, 70, 10)
    asked = question("server", case)
    found = sides.train_at_server(case.common, case.agent, asked, parcel)
    fresh = predict(teacher.network, data.images[shard.rows[:50]])
    soft = torch.cat([fresh, teacher.logits[shard.rows[50:]]])
    rows = shard.rows
    alone = train(
        build_network("cnn_m", data.shape, 10, 5), data.images[rows], data.labels[rows], soft,
        config=RECIPE, seed=5,
    )  # fmt: skip
    assert torch.equal(predict(found.network, data.images), predict(alone.network, data.images))
    received = sides.receive(case.common, asked, pack_weights(found.network))
    hits = predict(alone.network, data.images[data.test]).argmax(1) == data.labels[data.test]
    assert sides.score(case.common, received) == int(hits.sum()) / 449


def test_the_device_has_soft_labels_of_mirrored_samples_only(
    data: Dataset, teacher: Teacher, shard: Shard
) -> None:
    case = case_of(data, common_of(data), shard, teacher)
    assert case.agent is not None
    asked = question("device", case)
    parcel = sides.send_labels(case.agent, asked)
    assert parcel == {"logits": teacher.logits[shard.rows[50:]].numpy().tobytes()}
    found = sides.train_on_device(case.common, case.device, asked, parcel)
    rows, mask = shard.rows, torch.arange(120) >= 50
    alone = train(
        build_network("cnn_m", data.shape, 10, 5), data.images[rows], data.labels[rows],
        teacher.logits[rows], mask, config=RECIPE, seed=5,
    )  # fmt: skip
    assert torch.equal(predict(found.network, data.images), predict(alone.network, data.images))
    fewer = case_of(data, case.common, Shard(rows, 60), teacher)
    labels = sides.send_labels(fewer.agent, asked)
    other = sides.train_on_device(case.common, fewer.device, asked, labels)
    assert not torch.equal(predict(other.network, data.images), predict(found.network, data.images))


@pytest.mark.parametrize("name", ["n10", "n10-s3", "n20-energy"])
def test_the_clock_adds_up_to_the_plans_delays(name: str) -> None:
    problem = do.read_instance(INSTANCES / f"{name}.json")
    for seed in range(3):
        solution = do.solve(problem, "random", seed=seed).solution
        found = clock(problem, plan_of(problem, solution))
        assert found.delay_s == pytest.approx(solution.users.delay_s, rel=1e-12)
        for n, user in enumerate(solution.users):
            pieces = list(found.of(n))
            names = [piece for piece, *_ in pieces]
            if user.place == "device":
                assert names == ["download", "train"]
            else:
                assert names == ["upload", "label", "train", "download"]
            ends = [begin + seconds for _, begin, seconds in pieces]
            assert [begin for _, begin, _ in pieces] == pytest.approx([0, *ends[:-1]])
            assert ends[-1] == pytest.approx(user.delay_s, rel=1e-12)
            assert min(seconds for *_, seconds in pieces) >= 0


def test_planned_bits_are_the_formulas() -> None:
    problem = instance()
    solution = do.solve(problem, "random", seed=1).solution
    chosen = planned(problem, plan_of(problem, solution))
    bits = {model.name: model.bits for model in problem.models}
    for n, (user, (samples, fresh, _)) in enumerate(zip(solution.users, SHARES, strict=True)):
        server = user.place == "server"
        up = fresh * samples * 512 if server else 0
        down = bits[user.model] if server else (1 - fresh) * samples * 320
        assert (chosen.upload_bits()[n], chosen.download_bits()[n]) == pytest.approx((up, down))


def test_networks_are_counted_once_and_not_for_each_user(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = instance("logreg", "cnn_m")
    planned = do.hard_labels(problem)
    settings = Settings("digits", None, "iid", 0, None, "in-process", 1, None, False, None)
    scene = prepare({"alone": planned}, settings)
    counted: list[Any] = []

    def count(network: torch.nn.Module, shape: Any) -> costs.Costs:
        counted.append(shape)
        return count_costs(network, shape)

    monkeypatch.setattr(costs, "count_costs", count)
    costs.costs_of.cache_clear()
    efforts = [scene.effort(asked) for asked in scene.asked(planned, None)]
    assert len(set(efforts)) == len(problem.users) > 2
    assert counted == [(1, 8, 8)] * len(set(planned.solution.users.model))

"""FedAvg and hard labels: plans, clocks, trainings; Flower's own strategy finds the same."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dtkd_opt as do
from dtkd_opt.distill.data import Dataset, load_data
from dtkd_opt.distill.networks import build_network
from dtkd_opt.distill.training import predict, train
from dtkd_opt.federate.fedavg import average, execute, fedavg, fedavg_task, first_weights
from dtkd_opt.federate.fedavg_plan import FedAvgPlan, plan_fedavg
from dtkd_opt.federate.party_data import common_of
from dtkd_opt.federate.protocol import receive
from dtkd_opt.federate.serialization import pack_weights, unpack_weights
from dtkd_opt.federate.shards import deal
from dtkd_opt.problem import physics
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.records.instance import Instance
from tests.support import federating
from tests.support.federating import EPOCHS, HARD, SHARES, instance, table
from tests.support.helpers import INSTANCES
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def problem() -> Instance:
    return instance()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_data("digits")


@pytest.fixture(scope="module")
def calibrated(problem: Instance) -> Calibration:
    return federating.calibrated(problem)


def test_alone_every_user_has_the_best_student_for_its_device(
    problem: Instance, calibrated: Calibration
) -> None:
    planned = do.hard_labels(problem, calibrated)
    cycles = {model.name: model.cycles_per_sample for model in problem.models}
    for user, plan in zip(problem.users, planned.solution.users, strict=True):
        part = np.log(user.samples / 60) / np.log(10)
        cost = {
            name: EPOCHS * user.samples * cycles[name] / user.cpu_hz
            + problem.seconds_per_error * (1 - low - part * (high - low))
            for name, (low, high) in HARD.items()
        }
        assert plan.model == min(cost, key=cost.__getitem__)
        delay = EPOCHS * user.samples * cycles[plan.model] / user.cpu_hz
        assert (plan.place, plan.uplink_hz, plan.downlink_hz) == ("device", 0, 0)
        assert plan.delay_s == pytest.approx(delay)
    assert set(planned.solution.users.model) == set(HARD)
    with pytest.raises(do.InputError, match='has none for "logreg" with hard labels'):
        do.hard_labels(problem, table(problem))


def test_alone_no_label_crosses_and_no_teacher_is_asked(
    problem: Instance, calibrated: Calibration, data: Dataset, tmp_path: Path
) -> None:
    planned = do.hard_labels(problem, calibrated)
    given: dict[str, Any] = {"table": calibrated, "cache": tmp_path, "jobs": 1}
    found = do.federate(planned.instance, planned.solution, labels="hard", **given)
    users = found.users
    assert users.outcome.tolist() == ["done"] * 4
    assert users[["up_bits", "down_bits", "planned_down_bits"]].to_numpy().max() == 0
    assert found.teacher_accuracy is None
    assert os.listdir(tmp_path) == []  # nor trained
    assert users.learning_rate.tolist() == [2e-3] * 4
    assert users.predicted_accuracy.to_numpy() == pytest.approx(planned.solution.users.accuracy)
    from dtkd_opt.distill.training import TrainConfig, accuracy
    from dtkd_opt.federate.shards import training_seed

    rows, seed = deal(data, problem, "iid", 0)[1].rows, training_seed(0, 1)
    network = build_network(users.model[1], data.shape, 10, seed)
    recipe = TrainConfig(epochs=EPOCHS, batch_size=16, learning_rate=2e-3, tau=3.0, alpha=0.8)
    train(network, data.images[rows], data.labels[rows], config=recipe, seed=seed)
    reached = accuracy(network, data.images[data.test], data.labels[data.test])
    assert users.realised_accuracy[1] == pytest.approx(reached)
    at_server = do.solve(problem, "all-server").solution
    with pytest.raises(do.UsageError, match="train all users on their devices"):
        do.federate(problem, at_server, labels="hard", **given)


def test_alone_users_need_no_twin(tmp_path: Path) -> None:
    """Where all samples are fresh there is nothing to train a teacher on."""
    fresh = instance("logreg", shares=((60, 1.0, "device"), (60, 1.0, "device")), epochs=1)
    planned = do.hard_labels(fresh)
    given: dict[str, Any] = {"cache": tmp_path, "jobs": 1}
    found = do.federate(planned.instance, planned.solution, labels="hard", **given)
    assert found.users.outcome.tolist() == ["done"] * 2
    soft = {"soft": do.Planned(fresh, do.solve(fresh, "all-device").solution), "hard": planned}
    with pytest.raises(do.InputError, match="the twins mirror nothing to train a teacher on"):
        do.federate_all(soft, **given)


@pytest.mark.parametrize("limits", [{"deadline_s": 1e-9}, {"min_accuracy": 0.93}])
def test_who_has_no_student_alone_is_told(
    limits: dict[str, float], problem: Instance, calibrated: Calibration
) -> None:
    first, *others = problem.users
    bound = problem.model_copy(update={"users": [first.model_copy(update=limits), *others]})
    for table_given in (None, calibrated):
        with pytest.raises(do.InfeasibleError) as caught:
            do.hard_labels(bound, table_given)
        assert str(caught.value) == (
            "small with hard labels: no student keeps the limits when trained alone on the "
            f'device, of "{first.name}"'
        )


def test_plans_together_share_what_is_alike(problem: Instance, tmp_path: Path) -> None:
    """One teacher, each training once, and the figures of each plan alone."""
    first, second = (do.solve(problem, name).solution for name in ("all-device", "price"))
    plans = {"a": do.Planned(problem, first), "b": do.Planned(problem, second)}
    again = {"c": do.Planned(problem, second)} | plans
    output = tmp_path / "o"
    found = do.federate_all(again, cache=tmp_path / "t", output=output)
    alone = do.federate(problem, second, cache=tmp_path / "t")
    for name in ("b", "c"):
        assert (
            found[name].users.realised_accuracy.tolist() == alone.users.realised_accuracy.tolist()
        )
        assert (output / name / "summary.md").exists()
    alike = (first.users.model == second.users.model) & (first.users.place == second.users.place)
    lines = (output / "users.jsonl").read_text().splitlines()
    assert len(lines) == 8 - int(alike.sum())
    assert len(os.listdir(tmp_path / "t")) == 1
    other = instance(shares=((99, 0.5, "server"), *SHARES[1:]))
    foreign = do.Planned(other, do.solve(other, "price").solution)
    with pytest.raises(do.UsageError, match="for the same users, with the same samples"):
        do.federate_all(plans | {"d": foreign})
    with pytest.raises(do.UsageError, match="a plan cannot be named"):
        do.federate_all({"../d": plans["a"]})
    with pytest.raises(do.UsageError, match="give one or more"):
        do.federate_all({})


def test_the_clock_of_fedavg(problem: Instance) -> None:
    """By hand: R rounds of training and upload with the plan's shares, and a broadcast each."""
    plan = plan_fedavg(problem, local_epochs=8, student="cnn_m")
    assert plan.epochs == (8, 8, 4)
    model, server = problem.models[1], problem.servers[0]
    weakest = min(user.channel_gain[0] or 0.0 for user in problem.users) * server.tx_power_w
    weakest /= server.noise_w_per_hz * server.downlink_hz
    broadcast = model.bits / (server.downlink_hz * np.log2(1 + weakest))
    length = 0.0
    for epochs, shares in zip(plan.epochs, plan.uplink_hz, strict=True):
        ends = []
        for user, band in zip(problem.users, shares, strict=True):
            gain, noise = user.channel_gain[0], server.noise_w_per_hz * band
            assert gain is not None
            up = model.bits / (band * np.log2(1 + user.tx_power_w * gain / noise))
            ends.append(epochs * user.samples * model.cycles_per_sample / user.cpu_hz + up)
        assert ends == pytest.approx([max(ends)] * 4)  # nobody waits for a share
        length += max(ends) + broadcast
    assert plan.delay_s == pytest.approx([length] * 4)
    assert plan.total_delay_s == pytest.approx(4 * length)
    assert plan.uplink_hz.sum(axis=1) == pytest.approx([server.uplink_hz] * 3)
    assert (plan.uplink_hz.sum(axis=1) <= server.uplink_hz * (1 + 1e-12)).all()


@pytest.mark.parametrize("name", ["n10", "n40-s3"])
def test_no_equal_shares_are_sooner(name: str) -> None:
    """Each server's band is kept, and the rounds are no longer than those of equal shares."""
    problem = do.read_instance(INSTANCES / f"{name}.json")
    plan = plan_fedavg(problem, student="mlp16")
    counts = np.bincount(plan.server, minlength=len(problem.servers))
    for s, (server, users) in enumerate(zip(problem.servers, counts, strict=True)):
        used = plan.uplink_hz[:, plan.server == s].sum(axis=1)
        assert users > 0
        assert used == pytest.approx([server.uplink_hz] * len(used))
        assert used.max() <= server.uplink_hz * (1 + 1e-12)
    equal = np.array([one.uplink_hz for one in problem.servers]) / counts
    noise = np.array([one.noise_w_per_hz for one in problem.servers])[plan.server]
    gain = problem.users.channel_gain[np.arange(len(problem.users)), plan.server]
    snr = problem.users.tx_power_w * gain / noise
    up = problem.models[1].bits / physics.uplink_rate(equal[plan.server], snr)
    training = problem.users.samples * problem.models[1].cycles_per_sample / plan.cpu_hz
    rounds = [(epochs * training + up).max() for epochs in plan.epochs]
    assert plan.delay_s.max() <= sum(rounds) + len(rounds) * plan.download_s.max()


@pytest.mark.parametrize("name", ["n10", "n10-s3"])
def test_the_common_student_is_of_least_objective(name: str) -> None:
    problem = do.read_instance(INSTANCES / f"{name}.json")
    best = plan_fedavg(problem)
    every = [plan_fedavg(problem, student=model.name) for model in problem.models]
    assert best.objective == min(plan.objective for plan in every)
    curves = {one.student: one for one in do.shipped_calibration().curves if one.labels == "hard"}
    for plan in every:
        known = curves[plan.student].cells[-1].used  # more samples than it knows
        assert plan.expected_accuracy == known
        error = problem.seconds_per_error * (1 - plan.expected_accuracy)
        assert plan.objective == pytest.approx(plan.delay_s.mean() + error)


def limited(problem: Instance, **limits: float) -> Instance:
    users = [user.model_copy(update=limits) for user in problem.users]
    return problem.model_copy(update={"users": users})


def test_limits_of_users_hold_in_fedavg(problem: Instance) -> None:
    free = plan_fedavg(problem, student="cnn_m")
    late = limited(problem, deadline_s=float(free.delay_s.max()) * 0.99)
    assert plan_fedavg(late).student == "logreg"
    with pytest.raises(do.InfeasibleError, match="FedAvg: cnn_m does not keep all users' limits"):
        plan_fedavg(late, student="cnn_m")
    with pytest.raises(do.InfeasibleError, match="FedAvg: no student keeps all users' limits"):
        plan_fedavg(limited(problem, deadline_s=1e-9))
    power = problem.users.tx_power_w
    equal = problem.servers[0].uplink_hz / 4
    noise = problem.servers[0].noise_w_per_hz
    gain = problem.users.channel_gain[:, 0]
    up = problem.models[1].bits / physics.uplink_rate(equal, power * gain / noise)
    radio = float(len(free.epochs) * (up * power).max())
    with pytest.raises(do.InfeasibleError):
        plan_fedavg(limited(problem, energy_j=radio * 0.99), student="cnn_m")
    tight = plan_fedavg(limited(problem, energy_j=radio * 1.01), student="cnn_m")
    assert (tight.cpu_hz < free.cpu_hz).any()
    assert (tight.uplink_hz >= equal * (1 - 1e-12)).all()
    spent = (tight.upload_s.sum(axis=0) * power) + problem.users.kappa * tight.cpu_hz**2 * (
        EPOCHS * problem.users.samples * problem.models[1].cycles_per_sample
    )
    assert (spent <= radio * 1.01 * (1 + 1e-9)).all()
    for seed in (-1, 2**64):
        with pytest.raises(do.UsageError, match="seed must be a whole number"):
            fedavg(free, seed=seed)
    with pytest.raises(do.UsageError, match="local_epochs must be at least 1"):
        plan_fedavg(problem, local_epochs=0)
    with pytest.raises(do.UsageError, match='no student is named "vgg"'):
        plan_fedavg(problem, student="vgg")


@pytest.fixture(scope="module")
def short(problem: Instance) -> FedAvgPlan:
    """Two rounds of a student with running statistics."""
    return replace(plan_fedavg(problem, student="cnn_m"), epochs=(2, 1))


def test_fedavg_learns_and_counts_what_crosses(
    problem: Instance, short: FedAvgPlan, calibrated: Calibration
) -> None:
    told: list[float] = []
    found = fedavg(short, table=calibrated, follow=told.append)
    assert found.spec.recipe.learning_rate == 2e-3  # of hard labels
    assert told[-1] == 1
    assert told == sorted(told)
    assert 0.4 < found.accuracies[0] < found.accuracy < 1
    bits = problem.models[1].bits
    assert (found.up_bits, found.down_bits) == (2 * 4 * bits, 2 * 4 * bits)
    material, asked = fedavg_task(short, "digits", None, "iid", 0, calibrated)
    again = execute(material, asked)
    assert again.accuracies == found.accuracies
    assert asked != fedavg_task(short, "digits", None, "iid", 1, calibrated)[1]
    wrong = execute(replace(material, seed=1), asked)
    assert (wrong.outcome, "other data" in wrong.reason) == ("failed", True)
    hot = asked.model_copy(
        update={"recipe": asked.recipe.model_copy(update={"learning_rate": 1e30})}
    )
    assert "lower the learning rate" in execute(material, hot).reason


def test_of_one_user_fedavg_is_its_own_training(data: Dataset, problem: Instance) -> None:
    one = instance(shares=SHARES[1:2])
    plan = replace(plan_fedavg(one, student="logreg"), epochs=(3,))
    found = fedavg(plan)
    _, asked = fedavg_task(plan, "digits", None, "iid", 0, None)
    rows = deal(data, one, "iid", 0)[0].rows
    network = build_network("logreg", data.shape, 10, asked.seed)
    recipe = asked.recipe.model_copy(update={"epochs": 3})
    seed = int(np.random.SeedSequence([asked.seed, 0, 0]).generate_state(1)[0])
    train(network, data.images[rows], data.labels[rows], config=recipe, seed=seed)
    hits = network(data.images[data.test]).argmax(1) == data.labels[data.test]
    assert found.accuracies == (int(hits.sum()) / len(hits),)


def test_the_average_is_weighted_by_samples(data: Dataset, short: FedAvgPlan) -> None:
    common = common_of(data)
    _, asked = fedavg_task(short, "digits", None, "iid", 0, None)
    networks = [build_network("cnn_m", data.shape, 10, seed) for seed in (1, 2)]
    for network, counted in zip(networks, (10, 20), strict=True):
        network.state_dict()["0.1.num_batches_tracked"].fill_(counted)
    found = build_network("cnn_m", data.shape, 10, 0)
    unpack_weights(average(map(pack_weights, networks), (1, 3), common, asked), found)
    one, two = (network.state_dict() for network in networks)
    for key, value in found.state_dict().items():
        wanted = 0.25 * one[key].double() + 0.75 * two[key].double()
        if value.is_floating_point():
            assert torch.allclose(value.double(), wanted, rtol=1e-6, atol=1e-9)
    assert found.state_dict()["0.1.num_batches_tracked"] == 18  # 17.5, to even


@pytest.mark.slow
@pytest.mark.skipif(find_spec("flwr") is None, reason="needs the extra federated")
def test_flowers_own_strategy_finds_the_same(
    problem: Instance, short: FedAvgPlan, data: Dataset, tmp_path: Path
) -> None:
    do.write_instance(problem, tmp_path / "i.json")
    _, asked = fedavg_task(short, "digits", None, "iid", 0, None)
    (tmp_path / "asked.json").write_text(asked.model_dump_json())
    from dtkd_opt.federate.flower.processes import QUIET

    path = os.pathsep.join([str(ROOT), *sys.path])
    own = {"HOME": str(tmp_path), "FLWR_HOME": str(tmp_path / "flwr"), "OMP_NUM_THREADS": "1",
           "PYTHONPATH": path, "FEDAVG": str(tmp_path)}  # fmt: skip
    (tmp_path / "ray_bootstrap_config.yaml").write_text("{}")  # asks no cloud where it runs
    done = subprocess.run(
        [sys.executable, "-c", "from tests.support.flower_fedavg import run; run()"],
        env=os.environ | QUIET | own, capture_output=True, text=True, timeout=300,
        start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    ours = fedavg_weights(problem, data, asked)
    theirs = np.frombuffer((tmp_path / "weights").read_bytes(), np.uint8)
    assert len(theirs) == len(ours)
    begun = first_weights(common_of(data), asked)["weights"]
    first, mine, its = (
        logits(data, receive(common_of(data), asked, {"weights": one}))
        for one in (begun, ours, theirs.tobytes())
    )
    learnt = (mine - first).abs().max()
    # replies come in any order, and the bias before a normalisation follows what rounding leaves
    assert (mine - its).abs().max() < 1e-2 * learnt


def logits(data: Dataset, network: torch.nn.Module) -> torch.Tensor:
    return predict(network, data.images[data.test])


def fedavg_weights(problem: Instance, data: Dataset, asked: Any) -> bytes:
    """The last average, in this process."""
    from dtkd_opt.federate.fedavg import train_locally
    from dtkd_opt.federate.party_data import samples_at

    common = common_of(data)
    held = [samples_at(data, shard.rows) for shard in deal(data, problem, "iid", 0)]
    weights = first_weights(common, asked)
    for number in range(len(asked.epochs)):
        sent = [train_locally(common, s, asked, u, number, weights) for u, s in enumerate(held)]
        weights = average(sent, [len(samples) for samples in held], common, asked)
    return weights["weights"]

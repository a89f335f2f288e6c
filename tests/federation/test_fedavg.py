"""FedAvg's training; Flower's own strategy finds the same."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import dtkd_opt as do
from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.networks import build_network
from dtkd_opt.distill.training import predict, train
from dtkd_opt.federation.fedavg import (
    FedAvgSpec,
    average,
    execute,
    fedavg,
    fedavg_job,
    first_weights,
)
from dtkd_opt.federation.fedavg_plan import FedAvgPlan, plan_fedavg
from dtkd_opt.federation.party_data import common_of
from dtkd_opt.federation.protocol import receive
from dtkd_opt.federation.serialization import pack_weights, unpack_weights
from dtkd_opt.federation.shards import partition_data
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.records.instance import Instance
from tests.support import federating
from tests.support.federating import (
    SHARES,
    instance,
)
from tests.support.paths import ROOT


@pytest.fixture(scope="session")
def calibrated(problem: Instance) -> Calibration:
    return federating.calibrated(problem)


@pytest.fixture(scope="session")
def short(problem: Instance) -> FedAvgPlan:
    """Two rounds of a student with running statistics."""
    return replace(plan_fedavg(problem, student="cnn_m"), epochs=(2, 1))


def test_fedavg_learns_and_counts_sent_bits(
    problem: Instance, short: FedAvgPlan, calibrated: Calibration
) -> None:
    progress: list[float] = []
    spec = do.FederationSpec(calibration=calibrated)
    found = fedavg(short, spec, callback=progress.append)
    assert found.spec.config.learning_rate == 2e-3  # of hard labels
    assert progress[-1] == 1
    assert progress == sorted(progress)
    assert 0.4 < found.accuracies[0] < found.accuracy < 1
    bits = problem.models[1].bits
    assert (found.up_bits, found.down_bits) == (2 * 4 * bits, 2 * 4 * bits)
    source, task = fedavg_job(short, spec)
    again = execute(source, task)
    assert again.accuracies == found.accuracies
    other, other_task = fedavg_job(short, do.FederationSpec(calibration=calibrated, seed=1))
    assert task != other_task
    wrong = execute(other, task)
    assert (wrong.outcome, "other data" in wrong.reason) == ("failed", True)
    hot = task.config.replace(learning_rate=1e30)
    found = execute(source, task.replace(config=hot))
    assert "lower the learning rate" in found.reason


def test_of_one_user_fedavg_is_its_own_training(data: Dataset, problem: Instance) -> None:
    one = instance(shares=SHARES[1:2])
    plan = replace(plan_fedavg(one, student="logreg"), epochs=(3,))
    found = fedavg(plan)
    _, task = fedavg_job(plan, do.FederationSpec())
    rows = partition_data(data, one, "iid", 0)[0].rows
    network = build_network("logreg", data.shape, 10, task.seed)
    config = task.config.replace(epochs=3)
    seed = int(np.random.SeedSequence([task.seed, 0, 0]).generate_state(1)[0])
    train(network, data.images[rows], data.labels[rows], config=config, seed=seed)
    hits = network(data.images[data.test]).argmax(1) == data.labels[data.test]
    assert found.accuracies == (int(hits.sum()) / len(hits),)


def test_the_average_is_weighted_by_samples(data: Dataset, short: FedAvgPlan) -> None:
    common = common_of(data)
    _, task = fedavg_job(short, do.FederationSpec())
    networks = [build_network("cnn_m", data.shape, 10, seed) for seed in (1, 2)]
    for network, counted in zip(networks, (10, 20), strict=True):
        network.state_dict()["0.1.num_batches_tracked"].fill_(counted)
    found = build_network("cnn_m", data.shape, 10, 0)
    unpack_weights(average(map(pack_weights, networks), (1, 3), common, task), found)
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
    _, task = fedavg_job(short, do.FederationSpec())
    (tmp_path / "task.json").write_text(task.model_dump_json())
    from dtkd_opt.federation.flower.processes import QUIET

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
    ours = fedavg_weights(problem, data, task)
    theirs = np.frombuffer((tmp_path / "weights").read_bytes(), np.uint8)
    assert len(theirs) == len(ours)
    begun = first_weights(common_of(data), task)["weights"]
    first, mine, its = (
        logits(data, receive(common_of(data), task, {"weights": one}))
        for one in (begun, ours, theirs.tobytes())
    )
    change = (mine - first).abs().max()
    # replies come in any order, and the bias before a normalisation follows what rounding leaves
    assert (mine - its).abs().max() < 1e-2 * change


def logits(data: Dataset, network: torch.nn.Module) -> torch.Tensor:
    return predict(network, data.images[data.test])


def fedavg_weights(problem: Instance, data: Dataset, task: FedAvgSpec) -> bytes:
    """The last average, in this process."""
    from dtkd_opt.federation.fedavg import train_locally
    from dtkd_opt.federation.party_data import samples_at

    common = common_of(data)
    private = [samples_at(data, shard.rows) for shard in partition_data(data, problem, "iid", 0)]
    weights = first_weights(common, task)
    for number in range(len(task.epochs)):
        sent = [train_locally(common, s, task, u, number, weights) for u, s in enumerate(private)]
        weights = average(sent, [len(samples) for samples in private], common, task)
    return weights["weights"]


def test_users_of_few_samples_take_part_and_of_one_are_named(problem: Instance) -> None:
    users = [user.replace(samples=size) for user, size in zip(problem.users, (3, 1), strict=False)]
    plan = replace(plan_fedavg(problem.replace(users=users[:1]), student="cnn_m"), epochs=(1,))
    assert fedavg(plan).outcome == "done"
    plan = replace(plan_fedavg(problem.replace(users=users), student="cnn_m"), epochs=(1,))
    with pytest.raises(do.InputError, match=r"^instance: users\[1\]\.samples: must be at least 2"):
        fedavg(plan)

"""Local training only: its plan, and its training without twin and teacher."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.networks import build_network
from dtkd_opt.distill.training import train
from dtkd_opt.federation.shards import partition_data
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.records.instance import Instance
from tests.support import federating
from tests.support.federating import (
    EPOCHS,
    HARD,
    calibration,
    instance,
)


@pytest.fixture(scope="session")
def calibrated(problem: Instance) -> Calibration:
    return federating.calibrated(problem)


def test_every_local_user_has_the_best_student_for_its_device(
    problem: Instance, calibrated: Calibration
) -> None:
    planned = do.local_only(problem, calibrated)
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
        do.local_only(problem, calibration(problem))


def test_local_training_sends_no_label_and_needs_no_teacher(
    problem: Instance, calibrated: Calibration, data: Dataset, tmp_path: Path
) -> None:
    planned = do.local_only(problem, calibrated)
    spec = do.FederationSpec(calibration=calibrated, cache=tmp_path, jobs=1)
    found = do.federate_all({"plan": planned}, spec)["plan"]
    users = found.users
    assert users.outcome.tolist() == ["done"] * 4
    assert users[["up_bits", "down_bits", "planned_down_bits"]].to_numpy().max() == 0
    assert found.teacher_accuracy is None
    assert os.listdir(tmp_path) == []  # nor trained
    assert users.learning_rate.tolist() == [2e-3] * 4
    assert users.predicted_accuracy.to_numpy() == pytest.approx(planned.solution.users.accuracy)
    from dtkd_opt.distill.training import TrainConfig, accuracy
    from dtkd_opt.federation.shards import training_seed

    rows, seed = partition_data(data, problem, "iid", 0)[1].rows, training_seed(0, 1)
    network = build_network(users.model[1], data.shape, 10, seed)
    config = TrainConfig(epochs=EPOCHS, batch_size=16, learning_rate=2e-3, tau=3.0, alpha=0.8)
    train(network, data.images[rows], data.labels[rows], config=config, seed=seed)
    reached = accuracy(network, data.images[data.test], data.labels[data.test])
    assert users.realised_accuracy[1] == pytest.approx(reached)
    at_server = do.solve(problem, "all-server").solution
    with pytest.raises(do.UsageError, match="train all users on their devices"):
        do.federate_all({"plan": do.FederationPlan(problem, at_server, "hard")}, spec)


def test_local_users_need_no_twin(tmp_path: Path) -> None:
    """Where all samples are fresh there is nothing to train a teacher on."""
    fresh = instance("logreg", shares=((60, 1.0, "device"), (60, 1.0, "device")), epochs=1)
    planned = do.local_only(fresh)
    spec = do.FederationSpec(cache=tmp_path, jobs=1)
    found = do.federate_all({"plan": planned}, spec)["plan"]
    assert found.users.outcome.tolist() == ["done"] * 2
    soft = {
        "soft": do.FederationPlan(fresh, do.solve(fresh, "all-device").solution),
        "hard": planned,
    }
    with pytest.raises(do.InputError, match="the twins mirror nothing to train a teacher on"):
        do.federate_all(soft, spec)


@pytest.mark.parametrize("limits", [{"deadline_s": 1e-9}, {"min_accuracy": 0.8}])
def test_users_without_a_local_student_are_named(
    limits: dict[str, float], problem: Instance, calibrated: Calibration
) -> None:
    first, *others = problem.users
    bound = problem.replace(users=[first.replace(**limits), *others])
    for table_given in (None, calibrated):
        with pytest.raises(do.InfeasibleError) as caught:
            do.local_only(bound, table_given)
        assert str(caught.value) == (
            "small with hard labels: no student keeps the limits when trained alone on the "
            f'device, of "{first.name}"'
        )

"""The plan of FedAvg: rounds, shares, student, limits."""

from __future__ import annotations

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.federation.fedavg_plan import plan_fedavg
from dtkd_opt.problem import physics
from dtkd_opt.records.instance import Instance
from tests.support.federating import (
    EPOCHS,
)
from tests.support.paths import INSTANCES


def test_the_timeline_of_fedavg(problem: Instance) -> None:
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
def test_equal_shares_are_never_faster(name: str) -> None:
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
    training = problem.users.samples * problem.models[1].cycles_per_sample / plan.device_hz
    rounds = [(epochs * training + up).max() for epochs in plan.epochs]
    assert plan.delay_s.max() <= sum(rounds) + len(rounds) * plan.download_s.max()


@pytest.mark.parametrize("name", ["n10", "n10-s3"])
def test_the_common_student_is_of_minimum_objective(name: str) -> None:
    problem = do.read_instance(INSTANCES / f"{name}.json")
    best = plan_fedavg(problem)
    every = [plan_fedavg(problem, student=model.name) for model in problem.models]
    assert best.objective == min(plan.objective for plan in every)
    curves = {one.student: one for one in do.shipped_calibration().curves if one.labels == "hard"}
    for plan in every:
        last_used = curves[plan.student].cells[-1].used  # more samples than it has
        assert plan.expected_accuracy == last_used
        error = problem.seconds_per_error * (1 - plan.expected_accuracy)
        assert plan.objective == pytest.approx(plan.delay_s.mean() + error)


def with_limits(problem: Instance, **limits: float) -> Instance:
    users = [user.replace(**limits) for user in problem.users]
    return problem.replace(users=users)


def test_limits_of_users_hold_in_fedavg(problem: Instance) -> None:
    free = plan_fedavg(problem, student="cnn_m")
    late = with_limits(problem, deadline_s=float(free.delay_s.max()) * 0.99)
    assert plan_fedavg(late).student == "logreg"
    with pytest.raises(do.InfeasibleError, match="FedAvg: cnn_m does not keep all users' limits"):
        plan_fedavg(late, student="cnn_m")
    with pytest.raises(do.InfeasibleError, match="FedAvg: no student keeps all users' limits"):
        plan_fedavg(with_limits(problem, deadline_s=1e-9))
    power = problem.users.tx_power_w
    equal = problem.servers[0].uplink_hz / 4
    noise = problem.servers[0].noise_w_per_hz
    gain = problem.users.channel_gain[:, 0]
    up = problem.models[1].bits / physics.uplink_rate(equal, power * gain / noise)
    radio = float(len(free.epochs) * (up * power).max())
    with pytest.raises(do.InfeasibleError):
        plan_fedavg(with_limits(problem, energy_j=radio * 0.99), student="cnn_m")
    tight = plan_fedavg(with_limits(problem, energy_j=radio * 1.01), student="cnn_m")
    assert (tight.device_hz < free.device_hz).any()
    assert (tight.uplink_hz >= equal * (1 - 1e-12)).all()
    spent = (tight.upload_s.sum(axis=0) * power) + problem.users.kappa * tight.device_hz**2 * (
        EPOCHS * problem.users.samples * problem.models[1].cycles_per_sample
    )
    assert (spent <= radio * 1.01 * (1 + 1e-9)).all()
    with pytest.raises(do.UsageError, match="local_epochs must be at least 1"):
        plan_fedavg(problem, local_epochs=0)
    with pytest.raises(do.UsageError, match='no student is named "vgg"'):
        plan_fedavg(problem, student="vgg")

"""The training of `dqn`: its targets by hand, its progress, and the files that it writes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.methods.dqn.checkpoint import TrainState
from dtkd_opt.methods.dqn.game import FEATURES
from dtkd_opt.methods.dqn.instance_sampler import Validation
from dtkd_opt.methods.dqn.network import NetworkCard, torch
from dtkd_opt.methods.dqn.replay_buffer import Transitions, concatenate
from dtkd_opt.methods.dqn.train import play_round, td_targets, update
from dtkd_opt.runtime.threads import one_thread
from tests.support.command_line import run
from tests.support.dqn import fast_settings


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with one_thread():
        yield


def test_targets_by_hand() -> None:
    """Two users with two and three options; the networks are the features' first two columns."""
    batch = Transitions(
        action_features=np.zeros((2, 2), np.float32),
        reward=np.array([-0.1, -0.2], np.float32),
        next_features=np.array([[1, 10], [2, 20], [5, 30], [3, 40], [4, 50]], np.float32),
        n_options=np.array([2, 3]),
        next_current=np.array([0, 2]),
        active_fraction=np.array([0.25, 0.5], np.float32),
    )
    network: Any = SimpleNamespace(q_values=lambda features: features[:, 0])
    target_network: Any = SimpleNamespace(q_values=lambda features: features[:, 1])
    targets = td_targets(network, target_network, batch, discount=0.4).numpy()
    # the network would choose rows 1 and 2, the target network values them: 20 and 30
    first = 0.6 * -0.1 + 0.4 * (0.25 * 20 + 0.75 * 10)
    second = 0.6 * -0.2 + 0.4 * (0.5 * 30 + 0.5 * 50)
    np.testing.assert_allclose(targets, [first, second], rtol=1e-6)


def test_updates_lower_the_loss() -> None:
    state = TrainState(fast_settings(400, learning_rate=2e-3))
    batch = concatenate([play_round(state) for _ in range(40)])
    losses = [update(state, batch) for _ in range(150)]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_the_target_network_follows_by_tau() -> None:
    state = TrainState(fast_settings(100, tau=0.25, learning_rate=1e-2))
    batch = concatenate([play_round(state) for _ in range(4)])
    expected = state.target_network.linear.weight.detach().clone()
    for _ in range(3):
        update(state, batch)
        expected += 0.25 * (state.network.linear.weight.detach() - expected)
    torch.testing.assert_close(state.target_network.linear.weight, expected)
    assert not torch.equal(state.network.linear.weight, expected)


def test_training_lowers_the_gap_of_a_network_that_fears_every_action() -> None:
    """It starts with a bonus for what users have, so large that nobody changes anything."""
    state = TrainState(fast_settings(2000, learning_rate=5e-3))
    with torch.no_grad():
        state.network.linear.weight[0, FEATURES.index("current")] = 0.5
    validation = Validation(4, 20)
    before = np.mean(validation.gaps(state.network))
    rounds = [play_round(state) for _ in range(200)]
    for step in range(300):
        rounds[step % 200] = play_round(state)
        sampled = state.rng.integers(200, size=8)
        update(state, concatenate([rounds[i] for i in sampled]))
    assert np.mean(validation.gaps(state.network)) < 0.5 * before


def test_same_seed_same_network_and_curve(tmp_path: Path) -> None:
    states = [do.train_dqn(tmp_path / name, fast_settings(40)) for name in ("a", "b")]
    mine, theirs = ((tmp_path / x / "dqn.safetensors").read_bytes() for x in ("a", "b"))
    assert mine == theirs
    curves = [[row.model_dump(exclude={"elapsed_s"}) for row in s.curve] for s in states]
    assert curves[0] == curves[1]
    with (tmp_path / "a" / "curve.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["20", "40"]
    assert (tmp_path / "a" / "curve.svg").read_bytes().startswith(b"<?xml")


def test_the_recorded_command_makes_the_same_network(tmp_path: Path) -> None:
    for name, settings in (
        ("options", do.DQNTrainSettings(steps=5, users=12, minutes=9.0)),
        ("python", fast_settings(5, hidden=8, active_fraction=(0.1, 0.2))),
    ):
        folder = tmp_path / name
        do.train_dqn(folder, settings)
        command = NetworkCard.model_validate_json((folder / "dqn.json").read_bytes()).command
        again = tmp_path / "again" / name
        if name == "options":
            words = command.replace("DIR", str(again)).split()
            assert run(*words[1:]).returncode == 0
        else:
            eval(command, {"dtkd_opt": do, "DIR": again})
        mine, theirs = ((x / "dqn.safetensors").read_bytes() for x in (folder, again))
        assert mine == theirs


def test_weights_that_grow_without_end_are_reported() -> None:
    state = TrainState(fast_settings(100, learning_rate=1.0))
    batch = concatenate([play_round(state) for _ in range(4)])
    update(state, batch)
    with torch.no_grad():
        state.network.linear.bias.fill_(2e6)
    with pytest.raises(do.UsageError, match="learning_rate must be less than 1"):
        update(state, batch)


def test_a_folder_that_cannot_be_used_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper", tmp_path / "null\0byte"):
        with pytest.raises(do.InputError, match=r"cannot be made|must not hold a null byte"):
            do.train_dqn(folder, fast_settings(10))

    def refused(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refused)
    with pytest.raises(do.InputError, match="cannot be written: Permission denied"):
        do.train_dqn(tmp_path, fast_settings(10**9))


def test_settings_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(do.UsageError, match=r"settings must be DQNTrainSettings\(\.\.\.\), got {}"):
        do.train_dqn(tmp_path, {})  # type: ignore[arg-type]


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(do.UsageError, match='device "tpu"'):
        do.train_dqn(tmp_path, fast_settings(10), device="tpu")

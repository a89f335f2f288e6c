"""The checkpoint of a training of `dqn`: that it goes on where it stopped, and what is refused."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.methods.dqn.checkpoint import TrainState, load
from dtkd_opt.methods.dqn.network import NetworkCard, read_network, safetensors, torch
from dtkd_opt.records.result_files import DQN_CHECKPOINT
from dtkd_opt.runtime.threads import one_thread
from tests.support.dqn import fast_settings


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with one_thread():
        yield


def stop_at(step: int) -> Callable[[TrainState], None]:
    """Ctrl-C, as the terminal sends it, once a training has come so far."""

    def callback(state: TrainState) -> None:
        if state.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return callback


def test_a_training_that_was_stopped_goes_on_to_a_usable_network(tmp_path: Path) -> None:
    settings = fast_settings(300, validation_every=150, epsilon=0.7, buffer_size=80)
    stopped = do.train_dqn(tmp_path, settings, callback=stop_at(100))
    assert stopped.step == 100
    assert not (tmp_path / "dqn.json").exists()  # no validation yet
    for step in (200, 300):
        state = do.train_dqn(tmp_path, settings, resume=True, callback=stop_at(step))
        assert state.step == step
    assert [row.step for row in state.curve] == [150, 300]
    assert [stage.until for stage in state.stages] == [100, 200]
    seconds = [row.elapsed_s for row in state.curve]
    assert stopped.elapsed_s < seconds[0] < seconds[1] <= state.elapsed_s
    network = read_network(tmp_path / "dqn.json")
    for mine, best in zip(network.parameters(), state.best.parameters(), strict=True):
        assert torch.equal(mine, best)
    plan = do.solve(do.generate_instance(5), do.DQN(network=tmp_path / "dqn.json"))
    assert plan.incumbent is not None


def test_all_that_was_learned_is_loaded(tmp_path: Path) -> None:
    """Networks, optimizer, replay buffer, step, time and curve; the random numbers are new."""
    settings = fast_settings(300, buffer_size=80)
    saved = do.train_dqn(tmp_path, settings, callback=stop_at(100))
    loaded = TrainState(settings)
    load(loaded, tmp_path)
    for name in ("network", "target", "best"):
        mine, theirs = (getattr(state, name).state_dict() for state in (loaded, saved))
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine if key != "n_averaged")
    mine, theirs = (state.optimizer.state_dict()["state"] for state in (loaded, saved))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[n][key], theirs[n][key]) for n in mine for key in theirs[n])
    assert len(loaded.replay_buffer) == len(saved.replay_buffer) == 80
    for one, two in zip(loaded.replay_buffer, saved.replay_buffer, strict=True):
        for column, other in zip(one, two, strict=True):
            np.testing.assert_array_equal(column, other)
    assert (loaded.step, loaded.elapsed_s, loaded.curve) == (100, saved.elapsed_s, saved.curve)
    assert loaded.rng.random() != TrainState(settings).rng.random()


def test_resuming_with_more_steps_goes_on_and_is_recorded(tmp_path: Path) -> None:
    """The learning rate falls towards the end: one resumed with more steps is another training."""
    do.train_dqn(tmp_path, fast_settings(20))
    resumed = do.train_dqn(tmp_path, fast_settings(60), resume=True)
    assert [row.step for row in resumed.curve] == [20, 40, 60]
    seconds = [row.elapsed_s for row in resumed.curve]
    assert seconds == sorted(seconds)
    with (tmp_path / "curve.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["20", "40", "60"]
    card = NetworkCard.model_validate_json((tmp_path / "dqn.json").read_bytes())
    assert card.training["stages"] == [{"steps": 20, "minutes": None, "until": 20}]
    assert "resume=True" in card.command


def test_an_end_that_is_passed_changes_nothing(tmp_path: Path) -> None:
    do.train_dqn(tmp_path, fast_settings(12))
    files = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for shorter in (fast_settings(6), fast_settings(40, minutes=1e-9)):
        with pytest.raises(do.UsageError, match=r"is at step 12, .*; resume with more steps"):
            do.train_dqn(tmp_path, shorter, resume=True)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == files
    assert do.train_dqn(tmp_path, fast_settings(12), resume=True).step == 12  # the same end


def test_resuming_nothing_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(do.InputError, match="no such file"):
        do.train_dqn(tmp_path / "a" / "b", fast_settings(10), resume=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_taken_for_another(tmp_path: Path) -> None:
    with pytest.raises(do.InputError, match="no such file"):
        do.train_dqn(tmp_path, fast_settings(10), resume=True)
    do.train_dqn(tmp_path, fast_settings(10))
    with pytest.raises(do.UsageError, match="holds a checkpoint"):
        do.train_dqn(tmp_path, fast_settings(10))
    with pytest.raises(do.UsageError, match=r"trained with seed 0, not 1;"):
        do.train_dqn(tmp_path, fast_settings(10, seed=1), resume=True)
    (tmp_path / DQN_CHECKPOINT).write_bytes(safetensors.torch.save({"a": torch.zeros(1)}))
    with pytest.raises(do.InputError, match="no checkpoint of train-dqn"):
        do.train_dqn(tmp_path, fast_settings(10), resume=True)
    (tmp_path / DQN_CHECKPOINT).write_bytes(b"cut sho")
    with pytest.raises(do.InputError, match="no safetensors file"):
        do.train_dqn(tmp_path, fast_settings(10), resume=True)


def _header(**changes: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda tensors, header: header.update(changes)


def _tensor(name: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any], Any], None]:
    return lambda tensors, header: tensors.update({name: change(tensors[name])})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_header(features=99), "features: must be 1, got 99"),
        (_header(format="dtkd-opt/dqn-checkpoint/1"), "format: must be"),
        (_header(step=-1), "step: must be at least 0"),
        (_header(curve=[7]), r"curve\[0\]: must be"),
        (_tensor("replay.n_agents", lambda x: x[:1]), "replay: must hold"),
        (_tensor("replay.n_agents", lambda x: x.float()), "replay: must hold"),
        (_tensor("replay.next_current", lambda x: x - 10**6), "replay: must hold"),
        (_tensor("replay.n_options", lambda x: x - 1), "replay: must hold"),
        (_tensor("replay.reward", lambda x: x * float("nan")), "replay: must hold"),
        (_tensor("replay.action_features", lambda x: x[:, 1:]), "replay: must hold"),
        (_tensor("network.linear.weight", lambda x: x * float("nan")), "must hold finite"),
        (_tensor("adam.0.exp_avg", lambda x: x[:, 1:]), "must hold the tensors"),
        (lambda tensors, header: tensors.pop("adam.1.step"), "must hold the tensors"),
        (lambda tensors, header: tensors.pop("replay.n_options"), "replay: must hold"),
        (lambda tensors, header: header.pop("elapsed_s"), "elapsed_s: is missing"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_line(
    damaged: Callable[[Callable[..., object]], Path], damage: Callable[..., object], words: str
) -> None:
    with pytest.raises(do.InputError, match=words) as error:
        do.train_dqn(damaged(damage), fast_settings(20, validation_instances=1), resume=True)
    assert "\n" not in str(error.value)
    assert DQN_CHECKPOINT in str(error.value)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The checkpoint of a short training."""
    folder = tmp_path_factory.mktemp("trained")
    do.train_dqn(folder, fast_settings(20, validation_instances=1))
    return (folder / DQN_CHECKPOINT).read_bytes()


@pytest.fixture
def damaged(trained: bytes, tmp_path: Path) -> Callable[[Callable[..., object]], Path]:
    """The folder of a training whose checkpoint was then damaged."""

    def make(damage: Callable[..., object]) -> Path:
        tensors = safetensors.torch.load(trained)
        metadata = json.loads(trained[8 : 8 + int.from_bytes(trained[:8], "little")])
        header = json.loads(metadata["__metadata__"]["training"])
        damage(tensors, header)
        tensors = {name: value.contiguous() for name, value in tensors.items()}
        changed = safetensors.torch.save(tensors, {"training": json.dumps(header)})
        (tmp_path / DQN_CHECKPOINT).write_bytes(changed)
        return tmp_path

    return make

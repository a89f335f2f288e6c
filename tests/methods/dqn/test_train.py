"""The trainer of `dqn`: its targets by hand, its progress, and that it goes on where it stopped."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.methods.dqn.checkpoint import CHECKPOINT
from dtkd_opt.methods.dqn.game import FEATURES
from dtkd_opt.methods.dqn.instance_sampler import Validation, draw_table
from dtkd_opt.methods.dqn.method import NetworkCard, read_tensors, safetensors, torch
from dtkd_opt.methods.dqn.replay_buffer import Transitions, join, split
from dtkd_opt.methods.dqn.train import learn, next_round, targets
from dtkd_opt.methods.dqn.training import Training
from dtkd_opt.runtime.threads import one_thread
from tests.support.command_line import fails, run

FAST: dict[str, Any] = {"users": 20, "warm_up": 10, "batch": 8, "report_every": 20, "validation": 3}


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with one_thread():
        yield


def params(steps: int, **changes: Any) -> do.TrainDqnParams:
    return do.TrainDqnParams(steps=steps, **{**FAST, **changes})


def rounds_of(training: Training, count: int) -> list[Transitions]:
    return [next_round(training) for _ in range(count)]


def test_targets_by_hand() -> None:
    """Two users with two and three options; the networks are the features' first two columns."""
    following = np.array([[1, 10], [2, 20], [5, 30], [3, 40], [4, 50]], np.float32)
    batch = Transitions(
        taken=np.zeros((2, 2), np.float32),
        reward=np.array([-0.1, -0.2], np.float32),
        following=following,
        start=np.array([0, 2, 5]),
        current=np.array([0, 4]),
        share=np.array([0.25, 0.5], np.float32),
    )
    online: Any = SimpleNamespace(values=lambda known: known[:, 0])
    slow: Any = SimpleNamespace(values=lambda known: known[:, 1])
    wanted = targets(online, slow, batch, discount=0.4).numpy()
    # the online network would choose rows 1 and 2, the slow one values them: 20 and 30
    first = 0.6 * -0.1 + 0.4 * (0.25 * 20 + 0.75 * 10)
    second = 0.6 * -0.2 + 0.4 * (0.5 * 30 + 0.5 * 50)
    np.testing.assert_allclose(wanted, [first, second], rtol=1e-6)


def test_joined_rounds_keep_their_rows() -> None:
    rounds = rounds_of(Training(params(100)), 3)
    joined = join(rounds)
    reward = np.concatenate([r.reward for r in rounds])
    current = np.concatenate([r.following[r.current] for r in rounds])
    sizes = np.concatenate([np.diff(r.start) for r in rounds])
    np.testing.assert_array_equal(joined.reward, reward)
    np.testing.assert_array_equal(joined.following[joined.current], current)
    np.testing.assert_array_equal(np.diff(joined.start), sizes)
    assert joined.taken.shape == (len(reward), len(FEATURES))
    assert (current[:, FEATURES.index("current")] == 1).all()
    for mine, theirs in zip(split(joined, [len(r.reward) for r in rounds]), rounds, strict=True):
        for field in fields(Transitions):
            np.testing.assert_array_equal(getattr(mine, field.name), getattr(theirs, field.name))


def test_learning_lowers_the_loss() -> None:
    training = Training(params(400, learning_rate=2e-3))
    batch = join(rounds_of(training, 40))
    losses = [learn(training, batch) for _ in range(150)]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_training_lowers_the_gap_of_a_network_that_fears_every_move() -> None:
    """It starts with a bonus for what users have, so large that nobody moves."""
    training = Training(params(2000, learning_rate=5e-3))
    with torch.no_grad():
        training.online.linear.weight[0, FEATURES.index("current")] = 0.5
    validation = Validation(4, 20)
    before = np.mean(validation.gaps(training.online))
    memory = rounds_of(training, 200)
    for step in range(300):
        memory[step % 200] = next_round(training)
        chosen = training.rng.integers(200, size=8)
        learn(training, join([memory[i] for i in chosen]))
    assert np.mean(validation.gaps(training.online)) < 0.5 * before


def stop_at(step: int) -> Callable[[Training], None]:
    """Ctrl-C, as the terminal sends it, once a training has come so far."""

    def callback(training: Training) -> None:
        if training.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return callback


def test_a_training_that_was_stopped_ends_like_one_that_was_not(tmp_path: Path) -> None:
    """Weights, curve, memory, game and all: the checkpoints differ in nothing but times."""
    settings = params(300, report_every=150, exploration=0.7, memory=80)
    whole = do.train_dqn(tmp_path / "whole", settings)
    for resume, step in ((False, 100), (True, 200), (True, 0)):
        last = do.train_dqn(tmp_path / "parts", settings, resume=resume, callback=stop_at(step))
        assert last.step == (step or 300)
    for name in ("dqn.safetensors", "dqn.json"):
        mine, theirs = ((tmp_path / x / name).read_bytes() for x in ("parts", "whole"))
        assert mine == theirs
    untimed = [[row.model_copy(update={"seconds": 0.0}) for row in x.curve] for x in (last, whole)]
    assert untimed[0] == untimed[1]
    mine, theirs = (read_tensors(tmp_path / x / CHECKPOINT) for x in ("parts", "whole"))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert last.rng.random() == whole.rng.random()


def test_same_seed_same_network_and_resuming_goes_on(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        do.train_dqn(tmp_path / name, params(40))
        files.append((tmp_path / name / "dqn.safetensors").read_bytes())
    assert files[0] == files[1]
    resumed = do.train_dqn(tmp_path / "a", params(60), resume=True)
    assert [row.step for row in resumed.curve] == [20, 40, 60]
    seconds = [row.seconds for row in resumed.curve]
    assert seconds == sorted(seconds)
    with (tmp_path / "a" / "curve.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["20", "40", "60"]
    assert (tmp_path / "a" / "curve.svg").read_bytes().startswith(b"<?xml")


def test_another_end_is_recorded(tmp_path: Path) -> None:
    """The learning rate falls towards the end: one resumed with more steps is another training."""
    do.train_dqn(tmp_path, params(20))
    do.train_dqn(tmp_path, params(40), resume=True)
    card = NetworkCard.model_validate_json((tmp_path / "dqn.json").read_bytes())
    assert card.training["stages"] == [{"steps": 20, "minutes": None, "until": 20}]
    assert "resume=True" in card.command


def test_an_end_that_is_passed_changes_nothing(tmp_path: Path) -> None:
    do.train_dqn(tmp_path, params(12))
    files = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for shorter in (params(6), params(40, minutes=1e-9)):
        with pytest.raises(do.UsageError, match=r"is at step 12, .*; resume with more steps"):
            do.train_dqn(tmp_path, shorter, resume=True)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == files
    assert do.train_dqn(tmp_path, params(12), resume=True).step == 12  # the same end


def test_resuming_nothing_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(do.InputError, match="no such file"):
        do.train_dqn(tmp_path / "a" / "b", params(10), resume=True)
    assert list(tmp_path.iterdir()) == []


def test_the_recorded_command_makes_the_same_network(tmp_path: Path) -> None:
    for name, settings in (
        ("options", do.TrainDqnParams(steps=5, users=12, minutes=9.0)),
        ("python", params(5, hidden=8, shares=(0.1, 0.2))),
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


def test_weights_that_grow_without_end_are_said_to(tmp_path: Path) -> None:
    training = Training(params(100, learning_rate=1.0))
    batch = join(rounds_of(training, 4))
    learn(training, batch)
    with torch.no_grad():
        training.online.linear.bias.fill_(2e6)
    with pytest.raises(do.UsageError, match="learning_rate must be less than 1"):
        learn(training, batch)


def test_a_folder_is_not_taken_for_another(tmp_path: Path) -> None:
    with pytest.raises(do.InputError, match="no such file"):
        do.train_dqn(tmp_path, params(10), resume=True)
    do.train_dqn(tmp_path, params(10))
    with pytest.raises(do.UsageError, match="holds a checkpoint"):
        do.train_dqn(tmp_path, params(10))
    with pytest.raises(do.UsageError, match=r"trained with seed 0, not 1;"):
        do.train_dqn(tmp_path, params(10, seed=1), resume=True)
    (tmp_path / CHECKPOINT).write_bytes(safetensors.torch.save({"a": torch.zeros(1)}))
    with pytest.raises(do.InputError, match="no checkpoint of train-dqn"):
        do.train_dqn(tmp_path, params(10), resume=True)
    (tmp_path / CHECKPOINT).write_bytes(b"cut sho")
    with pytest.raises(do.InputError, match="no safetensors file"):
        do.train_dqn(tmp_path, params(10), resume=True)


def _state(**changes: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda tensors, state: state.update(changes)


def _tensor(name: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any], Any], None]:
    return lambda tensors, state: tensors.update({name: change(tensors[name])})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_state(features=99), "features: must be 1, got 99"),
        (_state(format="dtkd-opt/dqn-checkpoint/9"), "format: must be"),
        (_state(step=-1), "step: must be at least 0"),
        (_state(rng={"bit_generator": "MT19937"}), "rng: must be"),
        (_state(users=[1]), "memory: must hold"),
        (_state(curve=[7]), r"curve\[0\]: must be"),
        (_tensor("game.choice", lambda x: x + 1000), "game: must be"),
        (_tensor("game.choice", lambda x: x[1:]), "must hold the tensors"),
        (_tensor("memory.current", lambda x: x - 10**6), "memory: must hold"),
        (_tensor("memory.reward", lambda x: x * float("nan")), "memory: must hold"),
        (_tensor("memory.taken", lambda x: x[:, 1:]), "memory: must hold"),
        (_tensor("online.linear.weight", lambda x: x * float("nan")), "must hold finite"),
        (_tensor("adam.0.exp_avg", lambda x: x[:, 1:]), "must hold the tensors"),
        (lambda tensors, state: tensors.pop("adam.1.step"), "must hold the tensors"),
        (lambda tensors, state: tensors.pop("memory.start"), "memory: must hold"),
        (lambda tensors, state: state.pop("seconds"), "seconds: is missing"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_line(
    damaged: Callable[[Callable[..., object]], Path], damage: Callable[..., object], words: str
) -> None:
    with pytest.raises(do.InputError, match=words) as error:
        do.train_dqn(damaged(damage), params(20, validation=1), resume=True)
    assert "\n" not in str(error.value)
    assert CHECKPOINT in str(error.value)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The checkpoint of a short training."""
    folder = tmp_path_factory.mktemp("trained")
    do.train_dqn(folder, params(20, validation=1))
    return (folder / CHECKPOINT).read_bytes()


@pytest.fixture
def damaged(trained: bytes, tmp_path: Path) -> Callable[[Callable[..., object]], Path]:
    """The folder of a training whose checkpoint was then damaged."""

    def make(damage: Callable[..., object]) -> Path:
        tensors = safetensors.torch.load(trained)
        header = json.loads(trained[8 : 8 + int.from_bytes(trained[:8], "little")])
        state = json.loads(header["__metadata__"]["training"])
        damage(tensors, state)
        tensors = {name: value.contiguous() for name, value in tensors.items()}
        changed = safetensors.torch.save(tensors, {"training": json.dumps(state)})
        (tmp_path / CHECKPOINT).write_bytes(changed)
        return tmp_path

    return make


def test_a_folder_that_cannot_be_used_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper", tmp_path / "null\0byte"):
        with pytest.raises(do.InputError, match="cannot be made"):
            do.train_dqn(folder, params(10))

    def refused(*words: Any, **more: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refused)
    with pytest.raises(do.InputError, match="cannot be written: Permission denied"):
        do.train_dqn(tmp_path, params(10**9))


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(do.UsageError, match='device "tpu"'):
        do.train_dqn(tmp_path, params(10), device="tpu")


def test_lessons_have_all_kinds_of_instances() -> None:
    tables = [draw_table(seed, 30) for seed in range(60)]
    assert {table.n_servers for table in tables} == {1, 2, 3}
    assert {table.constrained for table in tables} == {True, False}
    assert min(table.n_users for table in tables) >= 10
    assert max(table.n_users for table in tables) <= 30


def test_the_command_trains_a_network_that_solves(tmp_path: Path) -> None:
    words = ("train-dqn", "--output", tmp_path / "net", "--steps", "30", "--users", "12")
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "step 30, 100%" in done.stdout
    network = do.DQN(network=tmp_path / "net" / "dqn.json")
    assert do.solve(do.generate_instance(5), network).incumbent is not None
    fails(run(*words), 2, "holds a checkpoint")
    fails(run("train-dqn", "--output", tmp_path, "--steps", "0"), 2, "steps: must be at least 1")

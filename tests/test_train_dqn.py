"""The trainer of `dqn`: its targets by hand, its progress, and that it goes on where it stopped."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_cli import fails, run

import dtkd_opt as do
from dtkd_opt.methods.dqn import safetensors, torch
from dtkd_opt.methods.game import FEATURES
from dtkd_opt.threads import one_thread
from dtkd_opt.train.experience import Transitions, join
from dtkd_opt.train.lessons import Validation, draw_table
from dtkd_opt.train.train_dqn import games, learn, targets
from dtkd_opt.train.training import CHECKPOINT, Training

FAST: dict[str, Any] = {"users": 20, "warm_up": 10, "batch": 8, "report_every": 20, "validation": 3}


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with one_thread():
        yield


def params(steps: int, **changes: Any) -> do.TrainDqnParams:
    return do.TrainDqnParams(steps=steps, **{**FAST, **changes})


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
    rounds = list(islice(games(Training(params(100))), 3))
    joined = join(rounds)
    reward = np.concatenate([r.reward for r in rounds])
    current = np.concatenate([r.following[r.current] for r in rounds])
    sizes = np.concatenate([np.diff(r.start) for r in rounds])
    np.testing.assert_array_equal(joined.reward, reward)
    np.testing.assert_array_equal(joined.following[joined.current], current)
    np.testing.assert_array_equal(np.diff(joined.start), sizes)
    assert joined.taken.shape == (len(reward), len(FEATURES))
    assert (current[:, FEATURES.index("current")] == 1).all()


def test_learning_lowers_the_loss() -> None:
    training = Training(params(400, learning_rate=2e-3))
    batch = join(list(islice(games(training), 40)))
    losses = [learn(training, batch) for _ in range(150)]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_training_lowers_the_gap_of_a_network_that_fears_every_move() -> None:
    """It starts with a bonus for what users have, so large that nobody moves."""
    training = Training(params(2000, learning_rate=5e-3))
    with torch.no_grad():
        training.online.linear.weight[0, FEATURES.index("current")] = 0.5
    validation = Validation(4, 20)
    before = np.mean(validation.gaps(training.online))
    rounds = games(training)
    memory = list(islice(rounds, 200))
    for step in range(300):
        memory[step % 200] = next(rounds)
        chosen = training.rng.integers(200, size=8)
        learn(training, join([memory[i] for i in chosen]))
    assert np.mean(validation.gaps(training.online)) < 0.5 * before


def test_a_checkpoint_holds_everything(tmp_path: Path) -> None:
    training = do.train_dqn(tmp_path, params(40))
    again = Training(params(40))
    again.load(tmp_path)
    assert (again.step, again.seconds, again.curve) == (40, training.seconds, training.curve)
    assert len(again.curve) == 2
    assert again.rng.random() == training.rng.random()
    for name in ("online", "slow", "best"):
        mine, theirs = getattr(again, name).state_dict(), getattr(training, name).state_dict()
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    batch = join(list(islice(games(Training(params(40))), 4)))
    assert learn(again, batch) == learn(training, batch)  # Adam's step included
    assert learn(again, batch) == learn(training, batch)


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


def test_ctrl_c_keeps_what_was_learned(tmp_path: Path) -> None:
    def stop(training: Training) -> None:
        raise KeyboardInterrupt

    training = do.train_dqn(tmp_path, params(1000), watch=stop)
    assert training.step == 100
    again = Training(params(1000))
    again.load(tmp_path)
    assert again.step == 100


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
    with pytest.raises(do.InputError, match="no checkpoint of train-dqn"):
        do.train_dqn(tmp_path, params(10), resume=True)


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
    network = do.DqnParams(network=tmp_path / "net" / "dqn.json")
    assert do.solve(do.generate_instance(5), "dqn", params=network).incumbent is not None
    fails(run(*words), 2, "holds a checkpoint")
    fails(run("train-dqn", "--output", tmp_path, "--steps", "0"), 2, "steps: must be at least 1")

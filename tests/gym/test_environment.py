"""The Gymnasium environment: its interface, its rewards, its failures, the plans it gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import dtkd_opt as do
from dtkd_opt.gym import ID, OffloadingEnv
from tests.support.paths import INSTANCES

LIMITS = do.GeneratorSettings(deadlines=0.3, energy_budgets=0.5, accuracy_floors=0.5)
SETTINGS: dict[str, dict[str, Any]] = {
    "drawn": {},
    "one user": {"users": 1},
    "servers": {"servers": 3, "users": (3, 12)},
    "limits": {"servers": 2, "settings": LIMITS},
    "fixed": {"instance": do.generate_instance(6, 2), "order": "instance"},
    "certified": {"users": 4, "certify": True},
}
Step = tuple[Any, float, dict[str, Any]]


def play(env: OffloadingEnv, seed: int) -> list[Step]:
    """An episode of a random agent that keeps to the mask."""
    seen, info = env.reset(seed=seed)
    env.action_space.seed(seed)
    steps, done = [(seen, 0.0, info)], False
    while not done:
        action = env.action_space.sample(mask=info["action_mask"])
        seen, reward, done, truncated, info = env.step(action)
        assert not truncated
        steps.append((seen, float(reward), info))
    return steps


@pytest.mark.parametrize("name", SETTINGS)
def test_gymnasium_finds_nothing_to_complain_of(name: str) -> None:
    """Its warnings are errors here."""
    env = gymnasium.make(ID, **SETTINGS[name])
    check_env(env.unwrapped)


@pytest.mark.parametrize("name", SETTINGS)
def test_rewards_add_up_to_what_the_recomputed_plan_saves(name: str) -> None:
    env, plans = OffloadingEnv(**SETTINGS[name]), 0
    for seed in range(12):
        steps = play(env, seed)
        info = steps[-1][2]
        assert all(env.observation_space.contains(seen) for seen, _, _ in steps)
        if "choice" not in info:
            assert info["infeasible"]
            continue
        plans += 1
        evaluation, size = do.evaluate(env.instance, env.plan()), len(env.instance.users)
        assert evaluation.violations == ()
        assert len(steps) == size + 1
        assert info["objective_s"] == pytest.approx(evaluation.objective, rel=1e-9)
        saved = size * (info["reference_s"] - evaluation.objective) / info["unit_s"]
        assert sum(reward for _, reward, _ in steps) == pytest.approx(saved, rel=1e-9, abs=1e-9)
    assert plans >= (4 if name == "limits" else 12)


def test_the_reward_of_a_better_plan_is_higher() -> None:
    """The best plan's choice, played, against a random agent's."""
    instance = do.generate_instance(12)
    env = OffloadingEnv(instance, order="instance", certify=True)
    best = do.solve(instance).incumbent
    assert best is not None
    env.reset(seed=0)
    total, info = 0.0, {}
    for row in best.choice:
        slot = env.options.place[row] * 6 + env.options.model[row]
        _, reward, _, _, info = env.step(slot)
        total += float(reward)
    assert total > 0
    assert 0 <= info["gap"] < 1e-3
    assert np.array_equal(info["choice"], best.choice)
    assert total > sum(reward for _, reward, _ in play(env, 0))


@pytest.mark.parametrize("name", ["servers", "limits", "fixed"])
def test_same_seed_same_episode_and_other_seed_another(name: str) -> None:
    first, again, other = (play(OffloadingEnv(**SETTINGS[name]), seed) for seed in (3, 3, 4))
    assert len(first) == len(again)
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one[0], two[0])
        assert one[1] == two[1]
    assert [reward for _, reward, _ in first] != [reward for _, reward, _ in other]


def test_without_a_seed_the_next_episode_is_a_new_instance() -> None:
    env = OffloadingEnv()
    env.reset(seed=0)
    first = env.instance
    env.reset()
    assert env.instance != first
    env.reset(seed=0)
    assert env.instance == first


def test_masks_are_the_options_that_users_have() -> None:
    env = OffloadingEnv(do.generate_instance(8, 2, 5, LIMITS), order="instance")
    _, info = env.reset(seed=0)
    for user in range(8):
        count = int(np.diff(env.options.start)[user])
        assert info["user"] == user
        assert info["action_mask"].sum() == env.action_masks().sum() == count
        options = env.options.select_rows(env.options.user == user)
        pick = int(np.argmin(options.server_cycles))  # the device if it may, and no conflict
        slot = np.flatnonzero(info["action_mask"])
        at = options.place[pick] * 6 + options.model[pick]
        _, _, done, _, info = env.step(next(s for s in slot if s % 12 == at))
    assert done
    assert len(np.unique(np.diff(env.options.start))) > 1  # limits took some options away


def test_a_slot_without_an_option_ends_the_episode_at_a_price() -> None:
    instance = do.generate_instance(5, 2, 5, do.GeneratorSettings(accuracy_floors=1.0))
    env = OffloadingEnv(instance, penalty=7.0)
    _, info = env.reset(seed=0)
    _, _, _, _, info = env.step(np.flatnonzero(info["action_mask"])[0])
    assert not info["action_mask"].all()
    seen, reward, done, _, info = env.step(np.flatnonzero(info["action_mask"] == 0)[0])
    assert (reward, done, info["inadmissible"]) == (-7.0 * 4, True, True)
    assert env.observation_space.contains(seen)
    for call in (env.plan, env.result, lambda: env.step(0)):
        with pytest.raises(do.UsageError):
            call()


def test_users_whose_limits_conflict_end_the_episode_at_a_price() -> None:
    env = OffloadingEnv(settings=do.GeneratorSettings(deadlines=1.0), penalty=2.0)
    ends = [(steps, len(env.instance.users)) for steps in (play(env, seed) for seed in range(20))]
    failed = [(steps, size) for steps, size in ends if "infeasible" in steps[-1][2]]
    assert failed
    for steps, size in failed:
        left = size - (len(steps) - 2)  # the last decision is not among those that count
        assert steps[-1][1] == -2.0 * left


@pytest.mark.parametrize("name", ["drawn", "servers", "fixed"])
def test_a_random_agents_plan_can_be_checked_and_certified(name: str, tmp_path: Path) -> None:
    env = OffloadingEnv(**SETTINGS[name])
    info = play(env, 1)[-1][2]
    result = env.result()
    assert result.solution.method == "agent"
    assert result.objective == pytest.approx(info["objective_s"], rel=1e-12)
    assert do.check(env.instance, result.solution) == []
    assert 0 < result.gap < 1
    do.write_solution(result.solution, tmp_path / "s.json")
    solution = do.read_solution(tmp_path / "s.json")
    assert do.certify(env.instance, solution, target=1e-3).gap <= result.gap + 1e-9


def test_certified_episodes_tell_the_proven_gap() -> None:
    env = OffloadingEnv(users=8, servers=2, certify=True)
    info = play(env, 2)[-1][2]
    result = env.result()
    assert info["bound_s"] == pytest.approx(result.bound, rel=1e-9)
    assert info["gap"] == pytest.approx(result.gap, rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"order": "alphabet"}, "order must be"),
        ({"users": 0}, "users must be a whole number of at least 1, got 0"),
        ({"users": 10.5}, "users must be a whole number of at least 1, got 10.5"),
        ({"users": None}, "users must be a whole number"),
        ({"users": (3, "5")}, "users must be a whole number of at least 1, got '5'"),
        ({"users": (10,)}, r"users must be a number or a range .*, got \(10,\)"),
        ({"users": (5, 3)}, "users must be a range"),
        ({"servers": 0}, "servers must be a whole number of at least 1, got 0"),
        ({"servers": 1.5}, "servers must be a whole number of at least 1, got 1.5"),
        ({"penalty": None}, "penalty must be a number of at least 0, got None"),
        ({"penalty": -1.0}, "penalty must be"),
        ({"penalty": float("nan")}, "penalty must be"),
    ],
)
def test_wrong_settings_are_refused_in_words(settings: dict[str, Any], part: str) -> None:
    with pytest.raises(do.UsageError, match=part):
        OffloadingEnv(**settings)


def test_numbers_of_numpy_are_numbers() -> None:
    users, servers, penalty = np.int64(5), np.int32(2), np.float32(3)
    env = OffloadingEnv(users=users, servers=servers, penalty=penalty)
    env.reset(seed=0)
    assert (len(env.instance.users), len(env.instance.servers)) == (5, 2)
    OffloadingEnv(users=(users, np.int64(7))).reset(seed=0)


def test_before_the_first_reset_there_is_nothing_to_step() -> None:
    env = OffloadingEnv()
    for call in (env.plan, env.action_masks, lambda: env.step(0)):
        with pytest.raises(do.UsageError):
            call()


@pytest.mark.parametrize("action", [-1, 12, 1.5])
def test_an_action_outside_of_its_space_is_refused(action: Any) -> None:
    env = OffloadingEnv()
    env.reset(seed=0)
    with pytest.raises(do.UsageError, match="action must be from 0 to 11"):
        env.step(action)


def python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, cwd=INSTANCES.parent, capture_output=True, text=True)


def test_make_imports_and_registers_it_by_its_name_alone() -> None:
    done = python(
        f'import gymnasium\nenv = gymnasium.make("dtkd_opt.gym:{ID}", users=3)\n'
        f"env.reset(seed=0)\nprint(env.step(0)[1:4], env.spec.id)"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"False, False) {ID}\n")


def test_without_gymnasium_one_line_tells_what_to_install() -> None:
    done = python(
        "import sys; sys.modules['gymnasium'] = None\nimport dtkd_opt as do\n"
        "try: import dtkd_opt.gym\nexcept do.InputError as error: print(error)"
    )
    assert done.stdout == ('dtkd_opt.gym: needs gymnasium: pip install "dtkd-opt[gym]"\n')


def play_vector(mode: str, steps: int = 60, **settings: Any) -> list[Any]:
    """Rewards of four environments whose agents take the first slot that they have."""
    kind, *context = mode.split()
    envs = gymnasium.make_vec(
        f"dtkd_opt.gym:{ID}",
        num_envs=4,
        vectorization_mode=kind,
        vector_kwargs={"context": context[0]} if context else {},
        **settings,
    )
    _, info = envs.reset(seed=0)
    rewards = []
    for _ in range(steps):
        _, reward, done, _, info = envs.step(info["action_mask"].argmax(axis=1))
        rewards.append(reward)
        for choice in info["choice"][done] if done.any() else ():
            users = int((choice >= 0).sum())
            assert 10 <= users <= 20 == len(choice)
            assert (choice[users:] == -1).all()
    envs.close()
    return rewards


def test_vectors_of_episodes_of_different_lengths_go_on() -> None:
    assert len(play_vector("sync", 400, users=(10, 20))) == 400


@pytest.mark.parametrize("mode", ["async fork", "async spawn"])
@pytest.mark.filterwarnings("default:.*multi-threaded, use of fork:DeprecationWarning")
def test_environments_in_processes_play_the_same(mode: str) -> None:
    settings: dict[str, Any] = {"users": (10, 20), "certify": True}
    assert np.array_equal(play_vector(mode, **settings), play_vector("sync", **settings))


@pytest.mark.parametrize("name", SETTINGS)
def test_stable_baselines_finds_nothing_to_complain_of(name: str) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(OffloadingEnv(**SETTINGS[name]))

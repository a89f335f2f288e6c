"""Whatever is handed to other processes, or copied, comes out as it went in."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache, partial
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.methods.registry import FunctionMethod


def own_method(search: do.Search, seed: int, params: None) -> str:
    search.try_incumbent(do.equal_share_choice(search.options))
    return "heuristic_end"


def conflict() -> do.Conflict:
    return do.Conflict(server=0, pool=2, users=np.array([1, 2]), prices=np.ones(3), excess=1.5)


@cache
def things() -> dict[str, Any]:
    """One of each that a user meets."""
    instance = do.generate_instance(4, 2, 1, do.GeneratorSettings(deadlines=0.5))
    result = do.solve(instance)
    assert result.plan is not None
    assert result.incumbent is not None
    assert result.prices is not None
    options = do.build_options(instance)
    planner = do.Planner(instance)
    planner.solve()
    return {
        "instance": instance, "users": instance.users, "user": instance.users[0],
        "task": instance.task, "server": instance.servers[0], "model": instance.models[0],
        "settings": do.GeneratorSettings(reach=1), "calibration": do.shipped_calibration(),
        "result": result, "solution": result.solution, "user plans": result.solution.users,
        "user plan": result.solution.users[0], "plan": result.plan, "incumbent": result.incumbent,
        "progress": result.history[-1], "evaluation": do.evaluate(instance, result.plan),
        "certificate": do.certify(instance, result), "options": options, "planner": planner,
        "allocation": do.allocate(options, result.incumbent.choice),
        "dual point": do.price(options, result.prices), "front": do.pareto(instance, points=2),
        "stop": do.Stop(0.5, 3.0, 7),
        "HiGHS's settings": do.HighsSettings(threads=2, options={"presolve": "off"}),
        "training of DQN": do.DQNTrainSettings(steps=5), "calibrating": do.CalibrationSettings(),
        "federating": do.FederationSpec(seed=3),
        "function": FunctionMethod("own", own_method), "partial": partial(own_method, params=None),
        **{name: do.get_method(name) for name in do.METHODS},
        "InputError": do.InputError("n5.json", ["users[0].samples: must be at least 1", "b"]),
        "UsageError": do.UsageError("a"), "InfeasibleError": do.InfeasibleError("b"),
        "NoPlanError": do.NoPlanError("c"), "TimeIsUp": do.TimeIsUp("d"),
        "Diverged": do.Diverged("e"), "ChoiceInfeasible": do.ChoiceInfeasible([conflict()]),
    }  # fmt: skip


WAYS: dict[str, Callable[[Any], Any]] = {
    **{f"pickle {n}": lambda x, n=n: pickle.loads(pickle.dumps(x, n)) for n in (0, 2, 5)},
    "cloudpickle": lambda x: pickle.loads(cloudpickle.dumps(x)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def same(a: Any, b: Any) -> bool:
    """Whether two things of ours hold the same."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, BaseException):
        return str(a) == str(b) and same(vars(a), vars(b)) and same(a.args, b.args)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, do.Planner):
        return same(vars(a), vars(b))
    if isinstance(a, partial):
        return (a.func, a.args, a.keywords) == (b.func, b.args, b.keywords)
    return bool(a == b)


@pytest.mark.parametrize("way", WAYS)
def test_it_comes_out_as_it_went_in(way: str) -> None:
    changed = [name for name, thing in things().items() if not same(WAYS[way](thing), thing)]
    assert changed == []


@pytest.mark.parametrize("way", WAYS)
def test_columns_stay_read_only(way: str) -> None:
    users = WAYS[way](things()["instance"]).users
    assert not any(getattr(users, key).flags.writeable for key in users.keys)


def refused() -> None:
    do.GeneratorSettings(reach=0)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_an_error_in_a_worker_is_the_same_here(backend: str) -> None:
    with pytest.raises(do.InputError, match="reach: must be at least 1, got 0") as caught:
        joblib.Parallel(2, backend)(joblib.delayed(refused)() for _ in range(2))
    assert caught.value.source == "GeneratorSettings"

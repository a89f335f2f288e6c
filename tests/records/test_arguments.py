"""Whatever a public function is given, it takes it or says in our words what it must be."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.records.arguments import (
    as_callback,
    as_choice,
    as_kind,
    as_number,
    as_path,
    as_whole,
    shown,
)


class Odd:
    """Nothing that any function takes."""


INSTANCE = do.generate_instance(3, 2, 1)
RESULT = do.solve(INSTANCE, "greedy")
ODD: list[Any] = [
    None, True, 0, -1, 1.5, math.nan, math.inf, -math.inf, 10**400, 1j, "", "x", b"x", "\ud800",
    "a\0b", [], [1], [[1.0], [1.0, 2.0]], {}, {"a": 1}, (), np.array(3), np.zeros(0),
    np.zeros((2, 2)), np.full(3, math.nan), np.array(["a"]), np.float32(1.5), np.int64(-3),
    np.timedelta64(1, "s"), np.datetime64("2020-01-01"), Odd(), INSTANCE, RESULT,
]  # fmt: skip
SHARES = ("uplink_hz", "downlink_hz", "cpu_hz", "device_hz")


def columns(of: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(of, name) for name in names}


@cache
def calls(folder: Path) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Public functions, and arguments that they take: within seconds even for odd numbers."""
    options, users, plan = do.build_options(INSTANCE), INSTANCE.users, RESULT.plan
    assert plan is not None
    assert RESULT.incumbent is not None
    choice, prices, certificate = (
        RESULT.incumbent.choice,
        RESULT.prices,
        do.certify(INSTANCE, RESULT),
    )
    front, problem = do.pareto(INSTANCE, points=2), {"instance": INSTANCE}
    limits = {"gap": 1e-6, "time_limit": 5.0, "iterations": 3}
    nowhere = do.FederationSpec(data="npz:nowhere.npz")
    names = ("model", "place", "server")
    return {
        "solve": (do.solve, problem | limits | {"method": "greedy", "seed": 0, "options": options}),
        "Planner": (lambda **k: do.Planner(**k).solve(), problem | {"gap": 1e-4}),
        "Planner.solve": (
            do.Planner(INSTANCE).solve, {"channel_gain": users.channel_gain, "time_limit": 5.0}
        ),
        "evaluate": (do.evaluate, problem | {"plan": plan}),
        "Plan": (
            lambda **k: do.evaluate(INSTANCE, do.Plan(**k)), columns(plan, *names, *SHARES)
        ),
        "Plan.from_columns": (
            lambda **k: do.evaluate(INSTANCE, do.Plan.from_columns(**k)),
            columns(plan, *names, *SHARES[:3]),
        ),
        "Plan.to_columns": (plan.to_columns, problem),
        "UserPlans.to_plan": (RESULT.solution.users.to_plan, problem),
        "PlanRows.from_plan": (do.PlanRows.from_plan, problem | {"plan": plan}),
        "allocate": (do.allocate, {"options": options, "choice": choice}),
        "price": (do.price, {"options": options, "prices": prices}),
        "equal_share_choice": (do.equal_share_choice, {"options": options}),
        "build_options": (do.build_options, problem),
        "certify": (do.certify, problem | {"solution": RESULT, "target": 1e-6, "time_limit": 5.0}),
        "verify": (
            do.verify, problem | {"certificate": certificate, "arithmetic": "arrays"}
        ),
        "check": (do.check, problem | {"solution": RESULT}),
        "export": (
            do.export, problem | {"path": folder / "m.nl", "format": "nl", "formulation": "minlp"}
        ),
        "export a MILP": (
            do.export, problem | {"path": folder / "m.lp", "format": "lp", "time_limit": 0.1}
        ),
        "pareto": (
            do.pareto,
            problem | {"min_weight": 1.0, "max_weight": 2.0, "gap": 1e-4, "callback": None},
        ),
        "pareto's points": (lambda points: do.pareto(INSTANCE, points=points), {"points": 2}),
        "min_delay": (front.min_delay, {"accuracy": 0.5}),
        "generate_instance": (
            do.generate_instance,
            {"users": 3, "servers": 1, "seed": 0, "settings": None, "name": None,
             "calibration": None, "accuracy": "mean"},
        ),
        "get_method": (partial(do.get_method, "q-learning"), {"rounds": 3, "levels": 2}),
        "find a method": (lambda name: do.get_method(name), {"name": "price"}),
        "Price": (
            lambda **k: do.solve(INSTANCE, do.Price(**k)), {"start": prices}
        ),
        "HighsSettings": (
            lambda **k: do.solve(INSTANCE, do.Exact(fixing=False, highs=do.HighsSettings(**k))),
            {"threads": 1, "log_file": "", "mip_rel_gap": 1e-6, "feasibility_tolerance": 1e-9,
             "options": {}},
        ),
        "options of HiGHS": (
            lambda **k: do.solve(
                INSTANCE, do.Exact(fixing=False, highs=do.HighsSettings(options=k))
            ),
            {"presolve": "on", "random_seed": 1, "mip_feasibility_tolerance": 1e-8},
        ),
        "read_instance": (do.read_instance, {"path": folder / "none.json"}),
        "read_solution": (do.read_solution, {"path": folder / "none.json"}),
        "read_certificate": (do.read_certificate, {"path": folder / "none.json"}),
        "read_calibration": (do.read_calibration, {"path": folder / "none.json"}),
        "write_instance": (
            do.write_instance, problem | {"path": folder / "i.json", "users": "json"}
        ),
        "write_solution": (
            do.write_solution, {"solution": RESULT, "path": folder / "s.json", "users": "json"}
        ),
        "write_certificate": (
            do.write_certificate,
            {"certificate": certificate, "path": folder / "c.json", "parquet": False},
        ),
        "write_calibration": (
            do.write_calibration,
            {"calibration": do.shipped_calibration(), "path": folder / "k.json"},
        ),
        "json_schema": (do.json_schema, {"file": "instance"}),
        "shipped_models": (do.shipped_models, {"data": "fashion-mnist"}),
        "compare": (
            do.compare,
            {"instances": [INSTANCE], "methods": ["no such"], "settings": {}, "seeds": 1}
            | limits | {"jobs": 1, "output": None, "callback": None},
        ),
        "compare's folder": (  # dask is odd: no run begins
            partial(do.compare, [INSTANCE], ["greedy"], dask=3), {"output": "d", "resume": True}
        ),
        "FederationPlan": (do.FederationPlan, problem | {"solution": RESULT, "labels": "soft"}),
        "FederationSpec": (do.FederationSpec, {"data_dir": "d", "cache": "d"}),
        "federate": (
            partial(do.federate, spec=nowhere),
            problem | {"solution": RESULT, "output": None, "callback": None, "resume": False},
        ),
        "federate_all": (partial(do.federate_all, spec=nowhere), {"plans": {}}),
        "calibrate": (
            do.calibrate,
            {"data": "nothing", "data_dir": None, "seeds": 1, "sizes": [100],
             "students": ["logreg"], "settings": None, "jobs": 1, "dask": None, "device": "cpu",
             "output": None, "cache": None, "callback": None, "resume": False},
        ),
        "local_only": (do.local_only, problem | {"calibration": None}),
        "plan_fedavg": (
            do.plan_fedavg, problem | {"calibration": None, "local_epochs": 2, "student": None}
        ),
        "fedavg": (partial(do.fedavg, spec=nowhere), {"plan": do.plan_fedavg(INSTANCE)}),
        "train_dqn": (
            do.train_dqn,
            {"output": folder / "d", "settings": None, "device": "abacus", "resume": False},
        ),
        "TrainState": (do.TrainState, {"settings": None, "device": "abacus"}),
        "Stop": (do.Stop, limits),
        "Users": (do.Users.from_columns, columns(users, *users.keys)),
        "Users's constructor": (lambda **k: do.Users(k), columns(users, *users.keys)),
        "Users of": (do.Users, {"columns": {}}),
        "Users.replace": (users.replace, columns(users, *users.keys)),
        "Users.from_records": (do.Users.from_records, {"records": [*users]}),
        "UserPlans": (
            do.UserPlans.from_columns,
            columns(RESULT.solution.users, *RESULT.solution.users.keys),
        ),
        **{
            type(record).__name__: (record.replace, dict(record))
            for record in (INSTANCE, INSTANCE.task, INSTANCE.servers[0], INSTANCE.models[0],
                           INSTANCE.models[0].accuracy, users[0], do.GeneratorSettings())
        },
    }  # fmt: skip


PLACES = [(name, key) for name, (_, keys) in calls(Path()).items() for key in keys]


def in_our_words(folder: Path, name: str, changes: dict[str, Any]) -> None:
    """Any other error than ours comes through."""
    function, arguments = calls(folder)[name]
    with suppress(do.DtkdError):
        function(**arguments | changes)


@pytest.mark.parametrize("name", calls(Path()))
def test_what_is_odd_is_refused_in_our_words(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each odd value in each argument's place."""
    monkeypatch.chdir(tmp_path)  # what is no odd path is written to
    for key in calls(tmp_path)[name][1]:
        for odd in ODD:
            in_our_words(tmp_path, name, {key: odd})


NUMBERS = st.one_of(
    st.floats(), st.integers(), st.booleans(), st.none(), st.text(max_size=3),
    st.sampled_from([1e-30, 1e30, 1e-31, 1e31, -0.0, 2**63, 10**15]),
)  # fmt: skip
ANYTHING = st.one_of(
    NUMBERS,
    st.lists(NUMBERS, max_size=4),
    st.lists(st.lists(NUMBERS, max_size=3), max_size=3),
    st.lists(st.floats(), min_size=3, max_size=3).map(np.array),
    st.lists(st.integers(-3, 99), min_size=3, max_size=3).map(np.array),
    st.lists(st.floats(width=32), max_size=6).map(lambda x: np.array(x, np.float32)),
    st.lists(st.floats(), min_size=6, max_size=6).map(lambda x: np.reshape(x, (3, 2))),
    st.lists(st.floats(), min_size=6, max_size=6).map(lambda x: np.reshape(x, (2, 3))),
)
QUICK = [
    place for place in PLACES
    if place[0] not in ("solve", "options of HiGHS", "HighsSettings", "export a MILP", "pareto")
    and place[1] not in ("path", "output", "cache", "points", "seeds", "users", "servers", "jobs")
]  # fmt: skip


@given(place=st.sampled_from(QUICK), odd=ANYTHING)
@settings(max_examples=500, deadline=None)
def test_any_numbers_lists_and_arrays_are_taken_or_refused(
    place: tuple[str, str], odd: Any
) -> None:
    name, key = place
    in_our_words(Path(), name, {key: odd})


@pytest.mark.parametrize("one", [1, np.int8(1), np.uint64(1), np.array(1)])
def test_numbers_of_numpy_are_numbers(one: Any) -> None:
    """Wherever Python's are taken; whole ones and floats."""
    half = np.float32(0.5)
    assert (as_whole(one, "", lambda n: n > 0), type(as_whole(one, "", bool))) == (1, int)
    assert as_number(half, "", lambda x: x > 0) == 0.5
    assert do.Stop(half, half, one) == do.Stop(0.5, 0.5, 1)
    assert do.generate_instance(one, one, one) == do.generate_instance(1, 1, 1)
    first = do.solve(
        INSTANCE, "random", gap=half, time_limit=np.float32(9), iterations=one, seed=one
    )
    second = do.solve(INSTANCE, "random", gap=0.5, time_limit=9, iterations=1, seed=1)
    assert first.solution.replace(runtime_s=0) == second.solution.replace(runtime_s=0)
    assert do.GeneratorSettings(reach=one, deadlines=half).deadlines == 0.5
    assert do.QLearning(rounds=one, learning_rate=half).rounds == 1


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: as_kind(int, "a", "n must be an int"), "n must be an int, got 'a'"),
        (lambda: as_number(True, "x must be a number", bool), "x must be a number, got True"),
        (lambda: as_number(math.nan, "x must be > 0", lambda x: x > 0), "x must be > 0, got nan"),
        (lambda: as_whole(1.0, "n must be whole", bool), "n must be whole, got 1.0"),
        (lambda: as_choice("c", ("a", "b"), "no letter"), 'no letter "c"; choose a or b'),
        (lambda: as_choice([], ("a", "b"), "no letter"), "no letter []; choose a or b"),
        (lambda: as_path(5, "file"), "file must be a str or a Path, got 5"),
        (lambda: as_callback(5, "x"), "callback must be a function of x, got 5"),
    ],
)
def test_words(refused: Callable[[], object], message: str) -> None:
    with pytest.raises(do.UsageError) as caught:
        refused()
    assert str(caught.value) == message
    assert caught.value.faults == (message,)
    assert isinstance(caught.value, do.InputError)


def test_what_is_long_or_has_several_lines_is_shown_on_one_short_line() -> None:
    assert shown("a\nb" * 100).startswith("'a\\nba")
    assert len(shown(np.zeros((99, 99)))) == 60
    assert shown(np.zeros((2, 2))).isprintable()

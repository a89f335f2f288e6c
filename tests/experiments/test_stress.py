"""experiments/stress.py: a few of its instances, and that it finds what is wrong."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtkd_opt as do
from tests.support.instances import small_instance, user
from tests.support.paths import ROOT

pytest.importorskip("flint")


@pytest.fixture
def stress(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The experiment's module."""
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    import stress

    yield stress
    for name in ("stress", "common"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("first", [0, 8, 16])
def test_nothing_but_what_takes_long(stress: Any, first: int) -> None:
    found = {}
    for number in range(first, first + 8):
        findings = stress.work((2026, number, None), 2.0)
        found[number] = [one for one in findings or () if one[0] != "unproven"]
    assert {number: one for number, one in found.items() if one} == {}


def test_the_draw_reaches_all_sizes_and_limits(stress: Any) -> None:
    drawn = []
    for number in range(60):
        try:
            drawn.append(stress.draw_instance(np.random.default_rng(number), "drawn"))
        except do.DtkdError:
            continue
    assert {len(instance.users) for instance in drawn} == set(range(1, 9))
    assert {len(instance.servers) for instance in drawn} == {1, 2, 3, 4}
    for key in ("deadline_s", "energy_j", "min_accuracy"):
        assert any(getattr(u, key) is not None for instance in drawn for u in instance.users)
    cpu = [u.cpu_hz for instance in drawn for u in instance.users]
    assert max(cpu) > 1e10 * min(cpu)


def falsified(result: do.Result, **changes: object) -> do.Result:
    return dataclasses.replace(result, solution=result.solution.replace(**changes))


def test_what_is_false_is_found(
    stress: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A bound above the plan, a wrong objective, a plan that is denied, an error of Python's."""
    instance = small_instance(user("a"), user("b"))
    true = do.solve(instance)
    assert stress.examine(instance).found == []

    answers = {
        "false bound": falsified(true, objective_bound=true.objective * (1 + 1e-9)),
        "violation": falsified(true, incumbent_objective=true.objective * 1.01),
        "false infeasible": falsified(true, status="infeasible", users=()),
    }
    for kind, answer in answers.items():
        given = [true, answer, true]
        monkeypatch.setattr(do, "solve", lambda *_, given=given, **__: given.pop(0))
        assert kind in {one for one, _ in stress.examine(instance).found}
    monkeypatch.setattr(do, "solve", lambda *_, **__: 1 / 0)
    assert {"traceback"} <= {one for one, _ in stress.examine(instance).found}


def test_failing_instances_are_written(
    stress: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(do, "solve", lambda *_, **__: 1 / 0)
    assert stress.work((0, 0, tmp_path))
    assert do.read_instance(tmp_path / "stress-0-0.json").name == "stress-0-0"
    assert "ZeroDivisionError" in (tmp_path / "stress-0-0.txt").read_text()

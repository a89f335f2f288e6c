"""The setup: faults are found before a training; costs of tasks."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import dtkd_opt as do
from dtkd_opt.distill import costs
from dtkd_opt.distill.costs import count_costs
from dtkd_opt.federation.setup import prepare
from dtkd_opt.records.instance import Instance
from tests.support.federating import instance


def test_networks_are_counted_once_and_not_for_each_user(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = instance("logreg", "cnn_m")
    planned = do.local_only(problem)
    setup = prepare({"local": planned}, do.FederationSpec(), None, False)
    counted: list[Any] = []

    def count(network: torch.nn.Module, shape: Any) -> costs.Costs:
        counted.append(shape)
        return count_costs(network, shape)

    monkeypatch.setattr(costs, "count_costs", count)
    costs.costs_of.cache_clear()
    costs_of_tasks = [setup.cost(task) for task in setup.tasks(planned, None)]
    assert len(set(costs_of_tasks)) == len(problem.users) > 2
    assert counted == [(1, 8, 8)] * len(set(planned.solution.users.model))


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"data": "imagenet"}, "there are digits, fashion-mnist, npz:FILE"),
        ({"jobs": 0}, "jobs must be"),
        ({"partition": "by hand"}, "partition must be iid or"),
    ],
)
def test_wrong_use_is_reported_before_anything_is_trained(
    given: dict[str, Any], part: str, tmp_path: Path, problem: Instance, solution: do.Solution
) -> None:
    with pytest.raises(do.UsageError, match=part):
        do.federate(
            problem, solution, do.FederationSpec(cache=tmp_path / "c", **given),
            output=tmp_path / "o",
        )  # fmt: skip
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"engine": "steam"}, "engine: must be .*in-process.*, got 'steam'"),
        ({"jobs": -2}, "jobs: must be at least -1, got -2"),
        ({"seed": -1}, "seed: must be at least 0, got -1"),
        ({"seed": 2**64}, "seed: must be at most 1.84467e\\+19, got 18446744073709551616"),
        ({"seed": 1.5}, "seed: must be an int, got 1.5"),
    ],
)
def test_a_value_that_a_field_does_not_allow_is_refused(given: dict[str, Any], part: str) -> None:
    with pytest.raises(do.InputError, match=part):
        do.FederationSpec(**given)


def test_arguments_of_another_kind_are_told_in_words(
    problem: Instance, solution: do.Solution
) -> None:
    plan: Any = do.FederationPlan(problem, solution)
    for wrong in ("digits", {"seed": 3}, {}):
        with pytest.raises(do.UsageError, match=r"^spec must be FederationSpec\(\.\.\.\), got "):
            do.federate(problem, solution, wrong)  # type: ignore[arg-type]
        with pytest.raises(do.UsageError, match=r"^spec must be FederationSpec\(\.\.\.\), got "):
            do.fedavg(do.plan_fedavg(problem), wrong)
    with pytest.raises(do.UsageError, match=r"plan must be a FedAvgPlan: plan_fedavg"):
        do.fedavg(plan)
    with pytest.raises(do.UsageError, match=r"plan 'a' must be FederationPlan\(instance, solution"):
        do.federate_all({"a": solution})  # type: ignore[dict-item]
    with pytest.raises(do.UsageError, match="plans must map names to FederationPlan"):
        do.federate_all([plan])  # type: ignore[arg-type]
    with pytest.raises(do.UsageError, match='labels must be "soft" or "hard", got \'foo\''):
        do.FederationPlan(problem, solution, "foo")  # type: ignore[arg-type]
    with pytest.raises(do.UsageError, match=r"calibration must be a Calibration: read_calibration"):
        do.local_only(problem, "digits")  # type: ignore[arg-type]


def test_plans_are_shown_in_one_line(problem: Instance, solution: do.Solution) -> None:
    shown = repr(do.FederationPlan(problem, solution))
    assert shown.startswith('<FederationPlan of <Instance "small": 4 users, 1 server, 2 models>: ')
    assert shown.endswith(f"plan of {solution.method}, soft labels>")


def test_plans_that_do_not_hold_are_refused(
    problem: Instance, solution: do.Solution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def federate(problem: Instance, solution: do.Solution, **options: Any) -> None:
        spec = do.FederationSpec(cache=tmp_path / "c", **options)
        do.federate(problem, solution, spec, output=tmp_path / "o")

    greedy = [user.replace(uplink_hz=1e9) for user in solution.users]
    with pytest.raises(do.InputError, match=r"uplink pool of .* is overdrawn"):
        federate(problem, solution.replace(users=greedy))
    model = problem.models[0].replace(name="vgg")
    other = problem.replace(models=(model,))
    with pytest.raises(do.InputError, match=r'users\[0\].*uses "vgg", which cannot be trained'):
        federate(other, do.solve(other, "greedy").solution)
    assert os.listdir(tmp_path) == []
    for engine in ("flower", "flower-simulation"):
        monkeypatch.setitem(sys.modules, "flwr", None)
        with pytest.raises(do.InputError, match=r'needs flwr: pip .*"dtkd-opt\[federated\]"'):
            federate(problem, solution, engine=engine)
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(do.InputError, match=r'needs joblib: pip install "dtkd-opt\[train\]"'):
        federate(problem, solution)


def test_a_folder_of_another_version_is_refused(
    problem: Instance, solution: do.Solution, cache: Path, tmp_path: Path
) -> None:
    old = {"asked": {"user": "u0", "recipe": {}}, "outcome": "done"}
    (tmp_path / "users.jsonl").write_text(json.dumps(old) + "\n")
    spec = do.FederationSpec(cache=cache, jobs=1)
    with pytest.raises(do.InputError, match=r"users\.jsonl, line 1: "):
        do.federate(problem, solution, spec, output=tmp_path, resume=True)

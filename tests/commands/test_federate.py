"""`federate`: faults are of the files that hold them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dtkd_opt as do
from tests.support.command_line import fails, run
from tests.support.paths import INSTANCES

N5 = INSTANCES / "n5.json"


def changed(file: Path, user: int, **values: Any) -> Path:
    """The file with other values of a user."""
    data = json.loads(file.read_text())
    data["users"][user] |= values
    file.write_text(json.dumps(data))
    return file


def solved(instance: Path, folder: Path) -> Path:
    file = folder / "plan.json"
    do.write_solution(do.solve(do.read_instance(instance), "greedy"), file)
    return file


@pytest.mark.parametrize("command", ["federate --output out", "certify --output c.json"])
def test_a_fault_of_the_plan_names_its_file(command: str, tmp_path: Path) -> None:
    plan = changed(solved(N5, tmp_path), 1, server="nowhere")
    done = run(*command.split(), N5, plan, cwd=tmp_path)
    fails(done, 1, f"{plan}: users[1].server: must be a server of the instance")
    assert list(tmp_path.iterdir()) == [plan]


@pytest.mark.parametrize("partition", ["iid", "dirichlet(0.001)"])
def test_a_user_that_cannot_be_trained_is_a_fault_of_the_instance(
    partition: str, tmp_path: Path
) -> None:
    file = tmp_path / "few.json"
    file.write_text(N5.read_text())
    plan = solved(changed(file, 2, samples=2), tmp_path)
    words = ("federate", file, plan, "--strict", "--partition", partition, "--output", "out")
    fails(run(*words, cwd=tmp_path), 1, f"{file}: users[2].samples: ")
    assert not (tmp_path / "out").exists()

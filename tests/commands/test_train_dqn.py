"""The command `train-dqn`."""

from __future__ import annotations

from pathlib import Path

import dtkd_opt as do
from tests.support.command_line import fails, run


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

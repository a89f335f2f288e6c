"""What the tests of `federate` share: a small instance of the digits with real costs, and plans."""

from __future__ import annotations

import sys
from typing import Any

import dtkd_opt as do
from dtkd_opt.distill.costs import count_costs
from dtkd_opt.distill.networks import build_network
from dtkd_opt.instance import AccuracyTable, Instance, Model, Task, User

PROGRAM = [sys.executable, "-c", "from dtkd_opt.cli import main; main()", "federate"]
SHARES = ((240, 0.5, "server"), (120, 0.25, "device"), (100, 0.0, "server"), (60, 1.0, "device"))
EPOCHS = 20


def model(name: str) -> Model:
    """A student of the digits, with an accuracy table that is made up."""
    costs = count_costs(build_network(name, (1, 8, 8), 10, 0), (1, 8, 8))
    accuracy = AccuracyTable(samples=(60.0, 600.0), device=(0.5, 0.9), server=(0.6, 0.95))
    return Model(
        name=name,
        bits=float(costs.bits),
        cycles_per_sample=costs.cycles_per_sample,
        accuracy=accuracy,
    )


def instance(*names: str, shares: Any = SHARES, epochs: int = EPOCHS) -> Instance:
    """Users with these samples and fresh shares, whose bits are those of the digits."""
    base = do.generate_instance(len(shares))
    users: list[User] = [
        user.model_copy(update={"samples": samples, "fresh_fraction": fresh})
        for user, (samples, fresh, _) in zip(base.users, shares, strict=True)
    ]
    task = Task(
        epochs=epochs, bits_per_sample=512.0, bits_per_label=320.0, teacher_cycles_per_sample=1e5
    )
    models = tuple(model(name) for name in names or ("logreg", "cnn_m"))
    return base.model_copy(update={"name": "small", "task": task, "models": models, "users": users})


def plan(problem: Instance, shares: Any = SHARES) -> do.Solution:
    """A plan of random students with each user at its place."""
    places = [place for *_, place in shares]
    for seed in range(1000):
        solution = do.solve(problem, "random", seed=seed).solution
        models = solution.users.model.tolist()
        if solution.users.place.tolist() == places and len(set(models)) == len(problem.models):
            return solution
    raise AssertionError("no seed gives these places")

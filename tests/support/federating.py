"""What the tests of `federate` share: a small instance of the digits with real costs, and plans."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

import dtkd_opt as do
from dtkd_opt.distill.costs import count_costs
from dtkd_opt.distill.networks import build_network
from dtkd_opt.records.accuracy import PLACES
from dtkd_opt.records.calibration import (
    AccuracyCurve,
    AccuracyStatistics,
    Calibration,
    ChosenHyperparameters,
)
from dtkd_opt.records.instance import AccuracyTable, Instance, Model, Task, User

PROGRAM = [sys.executable, "-m", "dtkd_opt", "federate"]
SHARES = ((240, 0.5, "server"), (120, 0.25, "device"), (100, 0.0, "server"), (60, 1.0, "device"))
EPOCHS = 20
FILES = ["accuracy.svg", "gantt.svg", "summary.md", "users.csv", "users.jsonl"]
TIMES = ["seconds", "cpu_s"]
HARD = {"logreg": (0.4, 0.7), "cnn_m": (0.3, 0.95)}  # accuracies at 60 and 600 samples


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
        user.replace(samples=samples, fresh_fraction=fresh)
        for user, (samples, fresh, _) in zip(base.users, shares, strict=True)
    ]
    task = Task(
        epochs=epochs, bits_per_sample=512.0, bits_per_label=320.0, teacher_cycles_per_sample=1e5
    )
    models = tuple(model(name) for name in names or ("logreg", "cnn_m"))
    return base.replace(name="small", task=task, models=models, users=users)


def plan(problem: Instance, shares: Any = SHARES) -> do.Solution:
    """A plan of random students with each user at its place."""
    places = [place for *_, place in shares]
    for seed in range(1000):
        solution = do.solve(problem, "random", seed=seed).solution
        models = solution.users.model.tolist()
        if solution.users.place.tolist() == places and len(set(models)) == len(problem.models):
            return solution
    raise AssertionError("no seed gives these places")


def write(problem: Instance, solution: do.Solution, folder: Path) -> Path:
    """The folder, with the files of an instance and a plan."""
    do.write_instance(problem, folder / "i.json")
    do.write_solution(solution, folder / "s.json")
    return folder


def choice(student: str, labels: Any, samples: int, rate: float) -> ChosenHyperparameters:
    return ChosenHyperparameters(
        student=student, labels=labels, samples=samples, learning_rate=rate, batch_size=16,
        accuracy=0.5,
    )  # fmt: skip


def calibration(problem: Instance, cnn_rates: tuple[float, float] = (1e-3, 4e-3)) -> Calibration:
    """A calibration that is made up, with the instance's models."""
    students = [model.name for model in problem.models]
    curves = [
        AccuracyCurve(student=model.name, labels=labels, fit=None, cells=tuple(
            AccuracyStatistics(samples=60 * k, runs=2, mean=0.5, std=0.1, lower95=0.3 + k / 100,
                 upper95=0.9 + k / 100, used=used, used_lower95=0.3)
            for k, used in zip((1, 10), getattr(model.accuracy, labels), strict=True)
        ))
        for model in problem.models
        for labels in PLACES
    ]  # fmt: skip
    rates = {"logreg": (2e-3, 4e-3), "cnn_m": cnn_rates}
    choices = [
        choice(student, labels, samples, 7.0 if labels == "hard" else rate)
        for student in students
        for labels in ("hard", "soft")
        for samples, rate in zip((60, 240), rates[student], strict=True)
    ]
    return Calibration(
        format="dtkd-opt/accuracy/1", data="digits", data_sha256="0", version="1", device="cpu",
        seeds=2, partition="iid", fresh_fraction=0.3, tau=3.0, alpha=0.8, teacher_sha256="0",
        task=problem.task, networks=(), models=problem.models, curves=tuple(curves), lifts=(),
        choices=tuple(choices),
    )  # fmt: skip


def calibrated(problem: Instance) -> Calibration:
    """The same calibration with hard labels as well."""
    found = calibration(problem)
    curves = [
        AccuracyCurve(student=student, labels="hard", fit=None, cells=tuple(
            AccuracyStatistics(samples=samples, runs=1, mean=used, std=None, lower95=None,
                               upper95=None, used=used, used_lower95=None)
            for samples, used in zip((60, 600), both, strict=True)
        ))
        for student, both in HARD.items()
    ]  # fmt: skip
    kept = [one for one in found.choices if one.labels == "soft"]
    kept += [choice(student, "hard", 60, 2e-3) for student in HARD]
    return found.replace(curves=(*found.curves, *curves), choices=tuple(kept))


def words(small: Path, cache: Path, output: Path, *more: str) -> list[str]:
    given = [str(small / "i.json"), str(small / "s.json"), "--cache", str(cache)]
    return [*PROGRAM, *given, "--output", str(output), *more]


def run(given: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(given, capture_output=True, text=True, timeout=300, **more)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "users.jsonl").read_text().splitlines()]


def users(folder: Path) -> pd.DataFrame:
    """users.csv without its times."""
    return pd.read_csv(folder / "users.csv").drop(columns=TIMES)

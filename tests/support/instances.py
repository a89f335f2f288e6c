"""Instances in round numbers, and a calibration that never changes."""

from __future__ import annotations

import csv
from collections.abc import Sequence

import dtkd_opt as do
from dtkd_opt.records.calibration import CurveLabels
from dtkd_opt.records.instance import AccuracyTable, Instance, Model, Server, Task, User
from tests.support.paths import INSTANCES

with (INSTANCES / "best.csv").open() as file:
    BEST = {row["instance"]: float(row["best_value"]) for row in csv.DictReader(file)}
ODD = r"[/a] $\foo$ :cat:"  # a name


def small_instance(*users: User, **changes: object) -> Instance:
    """Two servers, two students and the given users, in round numbers."""
    server = Server(
        name="edge-0",
        uplink_hz=1e6,
        downlink_hz=2e6,
        cpu_hz=8e9,
        tx_power_w=20.0,
        noise_w_per_hz=4e-21,
    )
    student = Model(
        name="small",
        bits=1.6e6,
        cycles_per_sample=4e4,
        accuracy=AccuracyTable(samples=(100, 1000), device=(0.7, 0.8), server=(0.72, 0.83)),
    )
    larger = AccuracyTable(samples=(100, 400, 900), device=(0.6, 0.8, 0.85), server=(0.7, 0.8, 0.9))
    base = Instance(
        name="small",
        seconds_per_error=300.0,
        task=Task(
            epochs=5, bits_per_sample=6272, bits_per_label=320, teacher_cycles_per_sample=7.5e7
        ),
        servers=(server, server.replace(name="edge-1", uplink_hz=3e6)),
        models=(
            student,
            Model(name="large", bits=8e6, cycles_per_sample=3e5, accuracy=larger),
        ),
        users=users,
    )
    return base.replace(**changes)


def user(name: str, **changes: object) -> User:
    """A user of `small_instance` that reaches both servers and has no limits."""
    base = User(
        name=name,
        samples=400,
        fresh_fraction=0.25,
        cpu_hz=1.2e9,
        tx_power_w=0.2,
        kappa=1e-28,
        channel_gain=(1e-11, 3e-12),
    )
    return User(**{**base.model_dump(), **changes})  # type: ignore[arg-type]


MIXED = (  # users
    user("a", energy_j=0.3),
    user("b", channel_gain=(None, 1e-12), deadline_s=3.0),
    user("用户", samples=10**15, min_accuracy=0.7),
)
TRIAL = {  # accuracy at the server and on the device, of a trial before the shipped table
    "logreg": ((0.702, 0.765, 0.794, 0.812), (0.699, 0.759, 0.795, 0.816)),
    "mlp16": ((0.691, 0.759, 0.788, 0.813), (0.685, 0.757, 0.790, 0.817)),
    "mlp64": ((0.717, 0.779, 0.808, 0.834), (0.707, 0.770, 0.805, 0.835)),
    "lenet_s": ((0.686, 0.752, 0.798, 0.842), (0.671, 0.751, 0.800, 0.843)),
    "cnn_m": ((0.758, 0.817, 0.857, 0.882), (0.740, 0.802, 0.846, 0.875)),
    "resnet8": ((0.697, 0.784, 0.843, 0.881), (0.678, 0.766, 0.832, 0.870)),
}


def trial_calibration() -> do.Calibration:
    """For tests with stored values: the shipped models with accuracies that never change."""
    shipped, sizes = do.shipped_calibration(), (100, 300, 1000, 3000)
    models, curves = [], []
    for model in shipped.models:
        server, device = TRIAL[model.name]
        accuracy = AccuracyTable(samples=sizes, server=server, device=device)
        models.append(model.replace(accuracy=accuracy))
        curves += [
            _curve(model.name, "server", sizes, server),
            _curve(model.name, "device", sizes, device),
        ]
    task = shipped.task.replace(teacher_cycles_per_sample=20_600_000 / 16)
    return shipped.replace(task=task, models=models, curves=curves)


def _curve(
    student: str, labels: CurveLabels, sizes: Sequence[int], means: Sequence[float]
) -> do.AccuracyCurve:
    """A curve of one run at each size."""
    cells = [
        do.AccuracyStatistics(
            samples=samples,
            runs=1,
            mean=mean,
            std=None,
            lower95=None,
            upper95=None,
            used=mean,
            used_lower95=None,
        )
        for samples, mean in zip(sizes, means, strict=True)
    ]
    return do.AccuracyCurve(student=student, labels=labels, cells=cells, fit=None)

"""Calibrated tables: their statistics, their file, and what instances take from them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dtkd_opt as do
from dtkd_opt.distill.fit import power_law
from dtkd_opt.records.accuracy import AccuracyTable
from dtkd_opt.records.calibration import FORMAT, AccuracyCurve, AccuracyStatistics, NetworkCosts
from dtkd_opt.records.instance import Model, Task
from tests.support.paths import INSTANCES

SIZES = (100, 300, 1000, 3000)
PROGRAM = [sys.executable, "-m", "dtkd_opt"]
TASK = Task(epochs=40, bits_per_sample=512.0, bits_per_label=320.0, teacher_cycles_per_sample=1e5)


def curve(
    name: str, labels: Any, means: list[float], lows: list[float] | None = None
) -> AccuracyCurve:
    lows_or_none = lows or [None] * len(means)
    cells = tuple(
        AccuracyStatistics(
            samples=size, runs=5, mean=mean, std=0.01, lower95=low, upper95=None, used=mean,
            used_lower95=low,
        )
        for size, mean, low in zip(SIZES, means, lows_or_none, strict=False)
    )  # fmt: skip
    return AccuracyCurve(
        student=name, labels=labels, cells=cells, fit=power_law(SIZES[: len(means)], means)
    )


def make_calibration(**change: Any) -> do.Calibration:
    """Of one student."""
    device, server = [0.7, 0.76, 0.8, 0.83], [0.72, 0.77, 0.81, 0.84]
    accuracy = AccuracyTable(samples=SIZES, device=tuple(device), server=tuple(server))
    given = {
        "format": FORMAT, "data": "digits", "data_sha256": "d", "version": "v", "device": "cpu",
        "seeds": 5, "partition": "iid", "fresh_fraction": 0.3, "tau": 4.0, "alpha": 0.9,
        "teacher_sha256": "t", "task": TASK,
        "networks": (NetworkCosts(name="teacher", parameters=3, flops=2, accuracy=0.9),),
        "models": (Model(name="mlp16", bits=1e5, cycles_per_sample=1e3, accuracy=accuracy),),
        "curves": (
            curve("mlp16", "device", device, [0.69, 0.75, 0.79, 0.82]),
            curve("mlp16", "server", server, [0.71, 0.76, 0.8, 0.83]),
        ),
        "lifts": (), "choices": (),
    }  # fmt: skip
    return do.Calibration(**given | change)


def test_tables_are_read_as_they_were_written(tmp_path: Path) -> None:
    calibration = make_calibration()
    do.write_calibration(calibration, tmp_path / "t.json")
    assert do.read_calibration(tmp_path / "t.json") == calibration
    models = json.loads((tmp_path / "t.json").read_text())["models"]
    instance = json.loads((INSTANCES / "n5.json").read_text()) | {"models": models}
    (tmp_path / "n5.json").write_text(json.dumps(instance))
    assert do.read_instance(tmp_path / "n5.json").models == calibration.models


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"seeds": 5', '"seeds": 0', "seeds: must be at least 1, got 0"),
        ('"tau": 4.0', '"tau": NaN', "tau: must be a finite number"),
        ('"samples": 300,', '"samples": 301,', "models[0]: must have a curve with its samples"),
        ('"mean": 0.76', '"mean": 76', "curves[0].cells[1].mean: must be at most 1, got 76"),
        (FORMAT, "dtkd-opt/instance/1", "format: must be"),
        (
            '"used": 0.76, "used_lower95": 0.75',
            '"used": 0.77, "used_lower95": 0.75',
            "models[0].accuracy.device: must be the used values of its curve",
        ),
        (
            '"server": [0.72,',
            '"server": [0.71,',
            "models[0].accuracy.server: must be the used values of its curve",
        ),
    ],
)
def test_damaged_tables_are_refused_with_the_place(
    old: str, new: str, fault: str, tmp_path: Path
) -> None:
    text = make_calibration().to_bytes().decode()
    assert old in text
    (tmp_path / "t.json").write_text(text.replace(old, new))
    with pytest.raises(do.InputError) as error:
        do.read_calibration(tmp_path / "t.json")
    assert f"t.json: {fault}" in str(error.value)


def test_each_kind_of_accuracy() -> None:
    calibration = make_calibration()
    (low,) = calibration.models_with("lower95")
    assert low.accuracy.device == (0.69, 0.75, 0.79, 0.82)
    (fitted,) = calibration.models_with("fitted")
    assert fitted.accuracy.server == calibration.curves[1].fit.fitted
    assert calibration.models_with("mean") == calibration.models
    single = tuple(curve("mlp16", labels, [0.7, 0.8]) for labels in ("device", "server"))
    accuracy = AccuracyTable(samples=SIZES[:2], device=(0.7, 0.8), server=(0.7, 0.8))
    model = calibration.models[0].replace(accuracy=accuracy)
    few = make_calibration(curves=single, models=(model,))
    for kind, needs in (("lower95", "two seeds"), ("fitted", "four sizes")):
        with pytest.raises(do.InputError, match=f"that takes {needs} or more"):
            few.models_with(kind)
        with pytest.raises(do.InputError, match=f"that takes {needs} or more"):
            do.generate_instance(3, calibration=few, accuracy=kind)


def test_an_instance_takes_the_models_of_its_own_epochs() -> None:
    calibration, instance = make_calibration(), do.read_instance(INSTANCES / "n5.json")
    taken = calibration.into(instance, "lower95")
    assert (taken.task, taken.models) == (TASK, calibration.models_with("lower95"))
    assert (taken.users, taken.servers) == (instance.users, instance.servers)
    assert do.check(taken, do.solve(taken).solution) == []
    with pytest.raises(do.InputError, match=r"task\.epochs: must be 7, .* with --epochs 40"):
        make_calibration(task=TASK.replace(epochs=7)).into(instance)
    users = [instance.users[0].replace(min_accuracy=0.85), *instance.users[1:]]
    with pytest.raises(do.InputError, match=r"users\[0\]\.min_accuracy: must be at most 0\."):
        calibration.into(instance.replace(users=users))


def test_generated_instances_take_a_calibration() -> None:
    calibration = make_calibration()
    params = do.GeneratorSettings(accuracy_floors=1.0)
    made = do.generate_instance(20, settings=params, calibration=calibration, accuracy="lower95")
    assert (made.task, made.models) == (TASK, calibration.models_with("lower95"))
    assert max(user.min_accuracy for user in made.users) < 0.83


def test_instances_are_generated_with_the_shipped_calibration() -> None:
    """It is the one that experiments/ tells how to make."""
    shipped, made = do.shipped_calibration(), do.generate_instance(3)
    assert (made.task, made.models) == (shipped.task, shipped.models)
    assert (
        do.read_calibration(INSTANCES.parent / "experiments/calibration/fashion-mnist.json")
        == shipped
    )
    lower = do.generate_instance(3, accuracy="lower95")
    assert lower.models == shipped.models_with("lower95") != made.models


def test_the_command_line_uses_tables(tmp_path: Path) -> None:
    do.write_calibration(make_calibration(), tmp_path / "t.json")
    generate = ["generate", "--users", "4", "--models", "t.json", "--output", "a.json"]
    into = ["calibrate", "--models", "t.json", "--into", "b.json", "--accuracy", "lower95"]
    instance = do.generate_instance(4)
    other = instance.replace(task=instance.task.replace(epochs=3))
    do.write_instance(instance, tmp_path / "b.json")
    do.write_instance(other, tmp_path / "c.json")
    late = ["calibrate", "--output", "new.json", "--into", "c.json"]  # said before any training
    done = [
        subprocess.run([*PROGRAM, *words], cwd=tmp_path, capture_output=True, text=True)
        for words in (generate, into, late)
    ]
    assert [(run.returncode, run.stderr) for run in done[:2]] == [(0, "")] * 2
    assert done[1].stdout == "written: b.json (models of digits, lower95)\n"
    first, second = (do.read_instance(tmp_path / name) for name in ("a.json", "b.json"))
    assert first.models == make_calibration().models
    assert second.models == make_calibration().models_with("lower95")
    assert first.task == second.task == TASK
    assert (done[2].returncode, done[2].stdout) == (1, "")
    assert done[2].stderr.startswith("c.json: task.epochs: must be 40")
    assert not (tmp_path / "new.json").exists()


@pytest.mark.parametrize("name", ["fitted", "residuals"])
def test_a_fit_has_one_value_a_cell(name: str, tmp_path: Path) -> None:
    calibration = json.loads(make_calibration().to_bytes())
    calibration["curves"][1]["fit"][name].pop()
    (tmp_path / "t.json").write_text(json.dumps(calibration))
    said = rf"t\.json: curves\[1\]\.fit\.{name}: must have 4 values, one a cell, got 3"
    with pytest.raises(do.InputError, match=said):
        do.read_calibration(tmp_path / "t.json")


def test_models_are_shipped_by_data_set() -> None:
    assert do.shipped_models("fashion-mnist") == do.shipped_calibration().models
    with pytest.raises(do.UsageError, match="models are shipped for fashion-mnist, got 'mnist'"):
        do.shipped_models("mnist")

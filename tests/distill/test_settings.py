"""Arguments of `calibrate` from Python, and its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtkd_opt as do
from tests.support.calibrating import FAST, quick, run


def test_python_takes_numbers_of_numpy(cache: Path) -> None:
    given = {"students": ["logreg"], "jobs": 2, "cache": cache}
    found = do.calibrate(
        seeds=np.int64(2),
        sizes=np.array([100, 200]),
        settings=do.CalibrationSettings(**FAST),
        **given,
    )
    assert found.calibration == quick(cache, sizes=[100, 200]).calibration


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"sizes": [100.0]}, r"sizes must be whole numbers, got \[100.0\]"),
        ({"sizes": 100}, "sizes must be whole numbers, got 100"),
        ({"seeds": 2.5}, "seeds must be whole numbers"),
        ({"students": "logreg"}, "students must be a list of names, got 'logreg'"),
        ({"settings": {"epochs": 3}}, r"settings must be CalibrationSettings\(...\), got {"),
        ({"data_dir": "."}, "a data folder is for fashion-mnist, not for digits"),
    ],
)
def test_python_arguments_of_other_kinds_are_wrong_use(
    given: dict[str, Any], part: str, tmp_path: Path
) -> None:
    with pytest.raises(do.UsageError, match=part):
        do.calibrate(**given, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "values", "twice"),
    [("learning_rates", (0.01, 0.1, 1e-2), "0.01"), ("batch_sizes", (16, 32, 16), "16")],
)
def test_a_setting_given_twice_is_refused(
    name: str, values: tuple[float, ...], twice: str, cache: Path, tmp_path: Path
) -> None:
    said = f"must be given once each, got {twice} 2 times"
    with pytest.raises(do.InputError, match=f"{name}: {said}"):
        do.CalibrationSettings(**FAST | {name: values})
    words = ["--students", "logreg", "--sizes", "100", "--seeds", "1", "--epochs", "1",
             "--output", "t.json", "--cache", str(cache)]  # fmt: skip
    option = f"--{name.replace('_', '-')}"
    done = run(tmp_path, "calibrate", *words, option, ",".join(map(str, values)))
    assert (done.returncode, done.stderr) == (2, f"{option}: {said}\n")
    assert list(tmp_path.iterdir()) == []

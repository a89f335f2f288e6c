"""What the tests of distillation share: the command, short trainings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from torch import Tensor

import dtkd_opt as do
from dtkd_opt.distill.calibrate import CalibrationResult
from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.training import TrainConfig
from tests.support import command_line

PROGRAM = [sys.executable, "-m", "dtkd_opt"]

FAST = {"epochs": 1, "learning_rates": (1e-2,), "batch_sizes": (64,), "selection_seeds": 1}

SHORT = TrainConfig(epochs=2, batch_size=16, learning_rate=2e-3)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return command_line.run(*words, cwd=folder)


def quick(cache: Path, **more: Any) -> CalibrationResult:
    """Trainings of one epoch."""
    settings = do.CalibrationSettings(**FAST | more.pop("settings", {}))
    given = {"students": ["logreg"], "sizes": [100], "seeds": 2, "jobs": 2} | more
    return do.calibrate(**given, settings=settings, cache=cache)


def shard(data: Dataset, count: int) -> tuple[Tensor, Tensor]:
    rows = data.train[:count]
    return data.images[rows], data.labels[rows]

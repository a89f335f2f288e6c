"""A training so small that a test can run it."""

from __future__ import annotations

from typing import Any

import dtkd_opt as do

FAST: dict[str, Any] = {
    "users": 20,
    "learning_starts": 10,
    "batch_size": 8,
    "validation_every": 20,
    "validation_instances": 3,
}


def fast_settings(steps: int, **changes: Any) -> do.DQNTrainSettings:
    return do.DQNTrainSettings(steps=steps, **{**FAST, **changes})

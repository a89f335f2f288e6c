"""The settings of a training of `dqn`."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, Strict, model_validator

from dtkd_opt.records.fields import Count, Fraction, Positive, Record, raise_faults


class DQNTrainSettings(Record):
    """Settings of the training; it ends after `steps` or, if given, `minutes` in all."""

    seed: Annotated[int, Strict(), Field(ge=0, lt=2**31)] = 0  # of all randomness
    steps: Count = 20_000  # a round of a game and an update each
    minutes: Positive | None = None  # in all, if they end before the steps; None: no limit
    users: Annotated[int, Strict(), Field(ge=10, le=10_000)] = 200  # of the largest instance
    rounds: Count = 40  # of a game
    hidden: Annotated[int, Strict(), Field(ge=1, le=4096)] = 32  # units of each hidden layer
    learning_rate: Annotated[float, Strict(), Field(gt=0, le=1)] = 5e-4  # falls linearly to nothing
    discount: Fraction = 0.3  # γ
    buffer_size: Count = 4000  # rounds in the replay buffer
    batch_size: Count = 64  # rounds of an update
    active_fraction: tuple[Fraction, Fraction] = (0.02, 0.15)
    """Range of the probability that a user is active in a round; drawn for each game."""
    learning_starts: Count = 200  # rounds before the first update
    tau: Fraction = 0.002
    """τ, by which the target network moves towards the one that learns, in each step."""
    epsilon: Fraction = 1.0  # ε, the probability that an action is exploratory instead of greedy
    validation_every: Count = 1000  # steps between validations, each with a checkpoint
    validation_instances: Annotated[int, Strict(), Field(ge=1, le=10_000)] = 16
    """On which networks are compared."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.active_fraction
        if low > high:
            raise_faults([f"active_fraction: must rise, got {low:g}, {high:g}"])
        return self

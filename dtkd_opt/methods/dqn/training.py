"""The settings of a training of `dqn`, and all that changes in it."""

from __future__ import annotations

from collections import deque
from typing import Annotated, Self

import numpy as np
from pydantic import Field, Strict, model_validator

from dtkd_opt.methods.dqn.method import QNetwork, torch
from dtkd_opt.methods.dqn.replay_buffer import Game, Transitions
from dtkd_opt.records.fields import Count, Fraction, NonNegative, Positive, Record, raise_faults


class TrainDqnParams(Record):
    """Settings of the training; it ends after `steps` or, if given, `minutes` in all."""

    seed: Annotated[int, Strict(), Field(ge=0, lt=2**31)] = 0
    steps: Count = 20_000
    minutes: Positive | None = None
    users: Annotated[int, Strict(), Field(ge=10, le=10_000)] = 200  # of the largest instance
    rounds: Count = 40  # of a game
    hidden: Annotated[int, Strict(), Field(ge=1, le=4096)] = 32
    learning_rate: Annotated[float, Strict(), Field(gt=0, le=1)] = 5e-4  # falls to nothing
    discount: Fraction = 0.3
    memory: Count = 4000  # rounds
    batch: Count = 64  # rounds of an update
    shares: tuple[Fraction, Fraction] = (0.02, 0.15)  # of the users that move in a round
    warm_up: Count = 200  # rounds before the first update
    follow: Fraction = 0.002  # how far the slow copy follows in a step
    exploration: Fraction = 1.0  # probability that a move is not the greedy one
    report_every: Count = 1000  # steps between validations, each with a checkpoint
    validation: Annotated[int, Strict(), Field(ge=1, le=10_000)] = (
        16  # instances that networks are compared on
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.shares[0] > self.shares[1]:
            raise_faults([f"shares: must rise, got {self.shares[0]:g}, {self.shares[1]:g}"])
        return self


class CurveRow(Record):
    """One point of the learning curve; loss and reward are means since the last one."""

    step: Count
    seconds: NonNegative
    loss: float  # Huber loss of the updates
    reward: float  # of a user in a round, exploring
    gap_median: float  # over the validation instances, without exploring
    gap_mean: float
    gap_max: float


class Stage(Record):
    """An earlier part of a training, which was resumed with another end."""

    steps: Count  # what it was asked for
    minutes: Positive | None
    until: Annotated[int, Strict(), Field(ge=0)]  # the step it came to


class Training:
    """What changes in a training: networks, optimizer, memory, game, randomness, time, curve."""

    def __init__(self, params: TrainDqnParams, device: str = "cpu"):
        self.params, self.device = params, device
        with torch.random.fork_rng(devices=[]):  # the caller's own draws stay as they are
            torch.manual_seed(params.seed)
            self.online = QNetwork(params.hidden).to(device)
            self.slow = QNetwork(params.hidden).to(device)
            self.best = QNetwork(params.hidden)  # of all validations
        self.slow.load_state_dict(self.online.state_dict())
        self.adam = torch.optim.Adam(self.online.parameters(), lr=params.learning_rate, fused=True)
        self.rng = np.random.default_rng(params.seed)
        self.memory: deque[Transitions] = deque(maxlen=params.memory)
        self.game: Game | None = None
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []  # since the last point of the curve
        self.rewards: list[float] = []
        self.curve: list[CurveRow] = []
        self.stages: list[Stage] = []

    @property
    def done(self) -> float:
        """How much of the training is over, by steps or time, in [0, 1]."""
        minutes = self.params.minutes
        timed = self.seconds / (60 * minutes) if minutes else 0.0
        return min(max(self.step / self.params.steps, timed), 1.0)

    @property
    def networks(self) -> dict[str, QNetwork]:
        return {"online": self.online, "slow": self.slow, "best": self.best}

    def add(self, row: CurveRow) -> None:
        """A point of the curve; the network is the best if its mean gap is the least so far."""
        if all(row.gap_mean < other.gap_mean for other in self.curve):
            self.best.load_state_dict(self.slow.state_dict())
        self.curve.append(row)
        self.losses, self.rewards = [], []

    @torch.no_grad()
    def follow(self) -> None:
        """Move the slow copy a little towards the network that learns."""
        for slow, fast in zip(self.slow.parameters(), self.online.parameters(), strict=True):
            slow.lerp_(fast, self.params.follow)

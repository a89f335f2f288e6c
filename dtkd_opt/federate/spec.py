"""One user's part of a plan as a job: what is asked, and the outcome that comes of it."""

from __future__ import annotations

from typing import Literal, Protocol

from dtkd_opt.distill.training import TrainConfig
from dtkd_opt.records.accuracy import Place
from dtkd_opt.records.fields import Count, Fraction, Name, NonNegative, Record, Text
from dtkd_opt.records.solution import Number, Whole
from dtkd_opt.runtime.jobs import Row


class Begun(Protocol):
    """What decides a network's first weights, whatever else is asked."""

    @property
    def student(self) -> str: ...

    @property
    def seed(self) -> int: ...


class Asked(Record):
    """All that decides what a user's training finds, whichever engine does it."""

    user: Name
    student: Name
    place: Place
    recipe: TrainConfig
    seed: Whole  # of the first weights and the order of samples
    data: Name
    data_sha256: Text
    samples: Count
    fresh: Whole
    shard_sha256: Text
    teacher_sha256: Text | None  # None with hard labels alone
    version: Text

    @property
    def hard(self) -> bool:
        """Whether the student learns from hard labels alone."""
        return self.teacher_sha256 is None


class Outcome(Row):
    """What came of it; `accuracy` is the student's on held-out samples, scored on the device.

    `up_bits` and `down_bits` crossed between device and server; `seconds` and `cpu_s` are those of
    the training here, not of the plan's clock.
    """

    spec: Asked
    outcome: Literal["done", "failed"]
    accuracy: Fraction | None = None
    loss: Number | None = None  # of the last batch
    steps: Count | None = None
    up_bits: Whole | None = None
    down_bits: Whole | None = None
    seconds: NonNegative | None = None
    cpu_s: NonNegative | None = None

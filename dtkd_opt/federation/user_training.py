"""One user's part of a plan as a job: the spec of its training, and the result."""

from __future__ import annotations

from typing import Literal

from dtkd_opt.distill.training import TrainConfig
from dtkd_opt.records.accuracy import Place
from dtkd_opt.records.fields import Count, Fraction, Name, NonNegative, Number, Record, Text, Whole
from dtkd_opt.runtime.jobs import Row


class StudentSpec(Record):
    """What decides a network's first weights and its training, of whatever method it is part."""

    student: Name  # name of the network
    config: TrainConfig  # how it is trained
    seed: Whole  # of the first weights and the order of samples
    data: Name  # name of the data set
    data_sha256: Text  # hash of its samples
    version: Text  # of this package and torch


class UserTraining(StudentSpec):
    """All that decides the result of a user's training, on any engine."""

    user: Name
    place: Place
    samples: Count
    fresh: Whole
    shard_sha256: Text
    teacher_sha256: Text | None  # None with hard labels alone

    @property
    def local_only(self) -> bool:
        """Whether the student learns from hard labels alone."""
        return self.teacher_sha256 is None


class UserTrainingResult(Row):
    """The result of a user's training; `accuracy` is on held-out samples, scored on the device.

    `up_bits` and `down_bits` went between device and server; `seconds` and `cpu_s` are those of
    the training here, not of the plan's timeline.
    """

    spec: UserTraining
    outcome: Literal["done", "failed"]
    accuracy: Fraction | None = None
    loss: Number | None = None  # of the last batch
    steps: Count | None = None
    up_bits: Whole | None = None
    down_bits: Whole | None = None
    seconds: NonNegative | None = None
    cpu_s: NonNegative | None = None

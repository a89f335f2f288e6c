"""The trainings of a calibration: students × sizes × labels × seeds, and those to choose by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from operator import index
from typing import Annotated, Literal, SupportsIndex

from pydantic import Field, Strict, model_validator

from dtkd_opt.distill.costs import Costs, costs_of
from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.jobs import VERSION, Job
from dtkd_opt.distill.networks import STUDENTS
from dtkd_opt.distill.select_hyperparameters import chosen_for
from dtkd_opt.distill.training import TrainConfig
from dtkd_opt.errors import UsageError
from dtkd_opt.records.calibration import ChosenHyperparameters, LabelKind
from dtkd_opt.records.fields import (
    MAX_COUNT,
    Count,
    Fraction,
    Positive,
    Record,
    Text,
    raise_faults,
)

LABELS: tuple[LabelKind, ...] = ("hard", "device", "server")
SIZES = {"digits": (100, 200, 400, 1000)}
OTHER_SIZES = (100, 300, 1000, 3000)
CHOICE_SEED = 1_000_000  # the first of those to choose by; the table's begin at 0

_Batch = Annotated[int, Strict(), Field(ge=2, le=MAX_COUNT)]  # as of Recipe


class CalibrateParams(Record):
    """Settings of a calibration."""

    epochs: Count = 40
    learning_rates: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1e-3, 3e-3, 1e-2)
    batch_sizes: Annotated[tuple[_Batch, ...], Field(min_length=1)] = (16, 32)
    tau: Positive = 4.0
    alpha: Fraction = 0.9
    fresh_fraction: Fraction = 0.3  # of the samples on the device, which have hard labels only
    partition: Text = "iid"
    choice_seeds: Count = 2

    @model_validator(mode="after")
    def _check(self) -> CalibrateParams:
        faults = []
        for name in ("learning_rates", "batch_sizes"):
            value, count = Counter(getattr(self, name)).most_common(1)[0]
            if count > 1:  # its trainings would count as often
                faults.append(f"{name}: must be given once each, got {value:.15g} {count} times")
        raise_faults(faults)
        return self


@dataclass(frozen=True, eq=False)
class Grid:
    """A calibration's trainings."""

    data: Dataset
    teacher_sha256: str
    students: tuple[str, ...]
    sizes: tuple[int, ...]
    seeds: int
    params: CalibrateParams
    device: str

    @cached_property
    def costs(self) -> dict[str, Costs]:
        """What each student costs."""
        shape, classes = self.data.shape, self.data.classes
        return {name: costs_of(name, shape, classes) for name in self.students}

    def choice_jobs(self) -> list[Job]:
        """Every setting for hard and for soft labels, scored on the validation split.

        The largest size takes what is chosen for the one before it: it would cost most of the time.
        """
        params = self.params
        sizes = self.sizes[:-1] or self.sizes
        kinds: tuple[LabelKind, ...] = ("hard", "server")
        seeds = range(CHOICE_SEED, CHOICE_SEED + params.choice_seeds)
        return [
            self._job(student, labels, size, seed, rate, batch, "validation")
            for student, size, labels, rate, batch, seed in product(
                self.students, sizes, kinds, params.learning_rates, params.batch_sizes, seeds
            )
        ]

    def table_jobs(self, choices: Iterable[ChosenHyperparameters]) -> list[Job]:
        """The table's trainings with what was chosen, scored on the test split.

        A student for which some kind of labels has no setting is left out.
        """
        choices = tuple(choices)
        hard, soft = ({c.student for c in choices if c.labels == k} for k in ("hard", "soft"))
        students = [student for student in self.students if student in hard & soft]
        jobs = []
        for student, size, labels, seed in product(students, self.sizes, LABELS, range(self.seeds)):
            choice = chosen_for(choices, student, labels, size)
            rate, batch = choice.learning_rate, choice.batch_size
            jobs.append(self._job(student, labels, size, seed, rate, batch, "test"))
        return jobs

    def _job(
        self,
        student: str,
        labels: LabelKind,
        samples: int,
        seed: int,
        learning_rate: float,
        batch_size: int,
        scored_on: Literal["validation", "test"],
    ) -> Job:
        params = self.params
        recipe = TrainConfig(
            epochs=params.epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            tau=params.tau,
            alpha=params.alpha,
        )
        return Job(
            data=self.data.name,
            data_sha256=self.data.sha256,
            student=student,
            labels=labels,
            samples=samples,
            seed=seed,
            scored_on=scored_on,
            recipe=recipe,
            partition=params.partition,
            fresh_fraction=params.fresh_fraction if labels == "device" else 0.0,
            teacher_sha256=None if labels == "hard" else self.teacher_sha256,
            device=self.device,
            version=VERSION,
        )

    def cost(self, job: Job) -> float:
        """About how long a job takes, in FLOPs: training, and scoring."""
        scored = self.data.test if job.scored_on == "test" else self.data.validation
        return self.costs[job.student].effort(job.recipe, job.samples, len(scored))


def whole_numbers(name: str, values: Iterable[SupportsIndex]) -> tuple[int, ...]:
    """Whole numbers of any kind, NumPy's too, as Python's; UsageError for anything else."""
    try:
        return tuple(map(index, values))
    except TypeError:
        raise UsageError(f"{name} must be whole numbers, got {values!r}") from None


def check_grid(
    data: Dataset, sizes: tuple[int, ...], students: tuple[str, ...], seeds: int
) -> None:
    """UsageError where sizes, students or seeds mean nothing for this data."""
    if unknown := [name for name in students if name not in STUDENTS]:
        raise UsageError(f'there is no student "{unknown[0]}"; choose of {", ".join(STUDENTS)}')
    if not students or len(set(students)) < len(students):
        raise UsageError("students must be one or more, each named once")
    if not 1 <= seeds <= CHOICE_SEED:
        raise UsageError(f"seeds must be a whole number of at least 1, got {seeds}")
    if not sizes or any(size < 1 for size in sizes):
        raise UsageError("sizes must be whole numbers of at least 1")
    if list(sizes) != sorted(set(sizes)):
        raise UsageError("sizes must grow: each one greater than the one before it")
    if sizes[-1] > len(data.train):
        raise UsageError(
            f"sizes must be at most {len(data.train)}, the training samples of {data.name}, "
            f"got {sizes[-1]}"
        )


def default_sizes(data: Dataset) -> tuple[int, ...]:
    """Sizes for a data set, as far as it has so many training samples."""
    wanted = SIZES.get(data.name, OTHER_SIZES)
    fitting = tuple(size for size in wanted if size <= len(data.train))
    return fitting or (len(data.train),)

"""Settings of a calibration, and its other arguments: defaults, checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from operator import index
from typing import Annotated, SupportsIndex

from pydantic import Field, Strict, model_validator

from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.networks import STUDENTS
from dtkd_opt.errors import UsageError
from dtkd_opt.records.fields import MAX_COUNT, Count, Fraction, Positive, Record, Text, raise_faults

SIZES = {"digits": (100, 200, 400, 1000)}
OTHER_SIZES = (100, 300, 1000, 3000)
FIRST_SELECTION_SEED = 1_000_000  # those of the calibration itself begin at 0

BatchSize = Annotated[int, Strict(), Field(ge=2, le=MAX_COUNT)]  # as of TrainConfig


class CalibrationSettings(Record):
    """Settings of a calibration."""

    epochs: Count = 40  # of each training
    learning_rates: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1e-3, 3e-3, 1e-2)
    """Of Adam, to choose from on the validation split, as are the batch sizes."""
    batch_sizes: Annotated[tuple[BatchSize, ...], Field(min_length=1)] = (16, 32)  # each 2 or more
    tau: Positive = 4.0  # τ, temperature of the soft labels
    alpha: Fraction = 0.9  # α, their weight in the loss; hard labels have 1 - α
    fresh_fraction: Fraction = 0.3  # of the samples, with hard labels only on the device
    partition: Text = "iid"  # how private samples are drawn: `iid` or `dirichlet(α)`
    selection_seeds: Count = 2  # how many, for the choice

    @model_validator(mode="after")
    def _check(self) -> CalibrationSettings:
        faults = []
        for name in ("learning_rates", "batch_sizes"):
            value, count = Counter(getattr(self, name)).most_common(1)[0]
            if count > 1:  # its trainings would count as often
                faults.append(f"{name}: must be given once each, got {value:.15g} {count} times")
        raise_faults(faults)
        return self


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
    if not 1 <= seeds <= FIRST_SELECTION_SEED:
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
    """The default sizes of a data set that its training split has; if none, all of the split."""
    sizes = SIZES.get(data.name, OTHER_SIZES)
    return tuple(size for size in sizes if size <= len(data.train)) or (len(data.train),)

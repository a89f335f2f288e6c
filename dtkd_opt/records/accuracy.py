"""Accuracy tables: what a student reaches with a user's private data, at either place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from dtkd_opt.records.arrays import Array
from dtkd_opt.records.fields import (
    Fraction,
    Numbers,
    Positive,
    Record,
    init_signature,
    raise_faults,
)

Place = Literal["device", "server"]
PLACES: tuple[Place, Place] = ("device", "server")


class AccuracyTable(Record):
    """Accuracy a_m^place(D) at grid points of the private data size D.

    Parameters
    ----------
    samples
        Grid points, increasing.
    device
        Accuracy in [0, 1] at each of them, when trained on the device.
    server
        The same, when trained at the server.
    """

    samples: Annotated[tuple[Positive, ...], Field(min_length=1)]
    device: tuple[Fraction, ...]
    server: tuple[Fraction, ...]

    @init_signature
    def __init__(self, *, samples: Numbers, device: Numbers, server: Numbers) -> None: ...

    @model_validator(mode="after")
    def _check(self) -> AccuracyTable:
        faults = [
            f"samples[{i}]: must be greater than the entry before it, "
            f"got {after:.15g} after {before:.15g}"
            for i, (before, after) in enumerate(
                zip(self.samples, self.samples[1:], strict=False), start=1
            )
            if after <= before
        ]
        for place in PLACES:
            if (got := len(getattr(self, place))) != (want := len(self.samples)):
                rule = f"must have one entry per entry of samples ({want})"
                faults.append(f"{place}: {rule}, got {got}")
        raise_faults(faults)
        return self

    @overload
    def at(self, samples: float, place: Place) -> float: ...
    @overload
    def at(self, samples: NDArray[Any], place: Place) -> Array: ...
    def at(self, samples: float | NDArray[Any], place: Place) -> float | Array:
        """Accuracy at a data size: piecewise linear in log(samples), constant beyond the ends.

        A single size and an array of any shape get the same bits.
        """
        grid, values = np.array(self.samples), np.array(getattr(self, place))
        data = np.minimum(np.maximum(np.asarray(samples, float), grid[0]), grid[-1])
        accuracy = np.full(data.shape, values[-1])
        if len(grid) > 1:
            i = np.minimum(np.searchsorted(grid, data, side="right"), len(grid) - 1)
            weight = np.log(data / grid[i - 1]) / np.log(grid[i] / grid[i - 1])
            between = values[i - 1] + weight * (values[i] - values[i - 1])
            accuracy = np.where(data < grid[-1], between, accuracy)
        return accuracy if np.ndim(samples) else float(accuracy)


def best_accuracy(
    accuracies: Sequence[AccuracyTable], samples: NDArray[Any], places: Sequence[Place] = PLACES
) -> Array:
    """(N,) the best accuracy of any table at any of the places with (N,) samples."""
    best: Array = np.max([a.at(samples, place) for a in accuracies for place in places], axis=0)
    return best

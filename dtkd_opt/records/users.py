"""The users of an instance: a record each to read and write, columns to compute with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from dtkd_opt.records.arrays import Array, Index
from dtkd_opt.records.columns import Columns
from dtkd_opt.records.fields import (
    LARGEST,
    MAX_COUNT,
    MAX_GAIN,
    MIN_FRACTION,
    SMALLEST,
    Amount,
    Count,
    Fraction,
    Gain,
    Name,
    Numbers,
    Positive,
    Record,
    Share,
    init_signature,
)
from dtkd_opt.records.packing import Column, Texts


class User(Record):
    """A physical entity with private data, a CPU, a radio and optional limits.

    Parameters
    ----------
    name
        Unique among the users.
    samples
        D, how many private samples it holds.
    fresh_fraction
        Share φ of them that is new, whose labels only the teacher has: 0, or 1e-12 to 1.
    cpu_hz
        Highest frequency of its CPU [cycles/s].
    tx_power_w
        p, power of its uploads [W].
    kappa
        κ, energy per cycle and squared frequency [J s² / cycle³].
    channel_gain
        Linear power gain to each server, at most 1; None, or NaN in an array, where it does not
        reach one.
    energy_j
        What the device may spend [J], or None.
    deadline_s
        How long its plan may take [s], or None.
    min_accuracy
        The lowest accuracy of its student, or None.
    """

    name: Name
    samples: Count
    fresh_fraction: Share
    cpu_hz: Positive
    tx_power_w: Positive
    kappa: Amount
    channel_gain: tuple[Gain | None, ...]
    energy_j: Positive | None = None
    deadline_s: Positive | None = None
    min_accuracy: Fraction | None = None

    @init_signature
    def __init__(
        self,
        name: str,
        *,
        samples: int,
        fresh_fraction: float,
        cpu_hz: float,
        tx_power_w: float,
        kappa: float,
        channel_gain: Sequence[float | None] | Numbers,
        energy_j: float | None = None,
        deadline_s: float | None = None,
        min_accuracy: float | None = None,
    ) -> None: ...


class Users(Columns[User]):
    """All users as read-only columns of shape (N,), and the sequence of their records.

    Null is inf (no budget, no deadline), -inf (no floor), NaN (server out of reach).
    """

    __slots__ = ()
    record = User
    keys: ClassVar[Mapping[str, Column]] = {  # what each column may hold
        "name": Column("text"),
        "samples": Column("whole", 1, MAX_COUNT),
        "fresh_fraction": Column("number", 0, 1, min_positive=MIN_FRACTION),
        "cpu_hz": Column("number", SMALLEST, LARGEST),
        "tx_power_w": Column("number", SMALLEST, LARGEST),
        "kappa": Column("number", 0, LARGEST),
        "channel_gain": Column("numbers", SMALLEST, MAX_GAIN, null=np.nan),
        "energy_j": Column("number", SMALLEST, LARGEST, null=np.inf),
        "deadline_s": Column("number", SMALLEST, LARGEST, null=np.inf),
        "min_accuracy": Column("number", 0, 1, null=-np.inf),
    }

    name: Texts  # (N,) unique
    samples: Index  # (N,) D, private samples
    fresh_fraction: Array  # (N,) φ, share of them that is new
    cpu_hz: Array  # (N,) highest frequency of the device's CPU [cycles/s]
    tx_power_w: Array  # (N,) p, transmission power [W]
    kappa: Array  # (N,) κ, energy per cycle and squared frequency [J s² / cycle³]
    channel_gain: Array  # (N, S); (N,) tuples while the lengths of the lists differ
    energy_j: Array  # (N,) energy budget of the device [J]
    deadline_s: Array  # (N,) longest delay [s]
    min_accuracy: Array  # (N,) lowest accuracy

    def update_hash(self, digest: hashlib._Hash) -> None:
        """Hash the contents: the names as a JSON list, the numbers as little-endian 8 bytes."""
        for key, column in self.keys.items():
            values = self._columns[key]
            if column.kind == "text":
                digest.update(json.dumps(values.tolist(), ensure_ascii=False).encode())
            elif column.kind == "whole":
                digest.update(values.astype("<i8").tobytes())
            else:  # one NaN of the many that there are
                digest.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())

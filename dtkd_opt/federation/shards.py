"""Private samples of all users of an instance, by rows of a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.partition import concentration, mirrored, one_class_fault, split_private
from dtkd_opt.errors import InputError
from dtkd_opt.records.arrays import Index
from dtkd_opt.records.instance import Instance

_OF_DATA, _OF_TRAINING = range(2)  # what a user's seed is for


@dataclass(frozen=True, eq=False)
class Shard:
    """One user's private samples: `rows` (D,) of the data set, of which the first are fresh."""

    rows: Index
    fresh: int
    fault: str = (
        ""  # why no student can be trained with them, with the user's path; empty if one can
    )

    @property
    def mirrored(self) -> Index:
        """Rows of the samples that the twin mirrors."""
        return self.rows[self.fresh :]

    @property
    def sha256(self) -> str:
        """Over the rows and the number of fresh ones."""
        content = f"{self.fresh} ".encode() + self.rows.astype("<i8").tobytes()
        return hashlib.sha256(content).hexdigest()


def partition_data(data: Dataset, instance: Instance, partition: str, seed: int) -> list[Shard]:
    """A shard for each user of the instance, of its D samples; round(φ D) of them are fresh.

    Shards are disjoint where the training split has enough samples for all users. Otherwise each
    user draws from all of it, and a user with more samples than it has gets some twice.

    Parameters
    ----------
    data, instance
        Where samples come from, and how many each user has.
    partition, seed
        As of :func:`dtkd_opt.distill.partition.split_private`.

    A user with too few samples, or of one class only, has a shard with a `fault`.
    """
    labels, sizes = data.labels.numpy(), instance.users.samples.tolist()
    if sum(sizes) <= len(data.train):
        rows = split_private(labels, data.train, sizes, partition, seed)
    else:
        rows = [
            split_private(
                labels,
                np.tile(data.train, -(-size // len(data.train))),
                [size],
                partition,
                _seed(seed, n, _OF_DATA),
            )[0]
            for n, size in enumerate(sizes)
        ]
    fresh = [
        size - int(mirrored(size, share).sum())
        for size, share in zip(sizes, instance.users.fresh_fraction.tolist(), strict=True)
    ]
    faults = [_fault(data, n, one, partition) for n, one in enumerate(rows)]
    return [Shard(*one) for one in zip(rows, fresh, faults, strict=True)]


def _fault(data: Dataset, user: int, rows: Index, partition: str) -> str:
    """Why a user's samples can train no student; empty where they can.

    By `dirichlet` users lack classes on purpose.
    """
    if concentration(partition) is None and len(rows) < data.classes:
        return (
            f"users[{user}].samples: must be at least {data.classes}, as many as {data.name} has "
            f"classes, got {len(rows)}"
        )
    fault = one_class_fault(data.labels.numpy(), rows, partition)
    return f"users[{user}].samples: {fault}" if fault else ""


def training_seed(seed: int, user: int) -> int:
    """The seed of a user's first weights and order of samples."""
    return _seed(seed, user, _OF_TRAINING)


def _seed(seed: int, user: int, use: int) -> int:
    return int(np.random.SeedSequence([seed, user, use]).generate_state(1)[0])


def mirrored_rows(shards: Sequence[Shard]) -> Index:
    """The samples that the twins mirror together, each once: the teacher's training data.

    Raises
    ------
    InputError
        When they mirror nothing.
    """
    rows: Index = np.unique(np.concatenate([shard.mirrored for shard in shards]))
    if len(rows) < 2:
        fault = "users: the twins mirror nothing to train a teacher on; lower a fresh_fraction"
        raise InputError("instance", [fault])
    return rows


def shard_notes(data: Dataset, shards: Sequence[Shard]) -> list[str]:
    """Sentences for the reader on shards that overlap."""
    sizes = [len(shard.rows) for shard in shards]
    available = f"the {len(data.train):,} training samples of {data.name}"
    notes = []
    if sum(sizes) > len(data.train):
        notes.append(
            f"The users have {sum(sizes):,} samples, more than {available}: they share some."
        )
    if larger := sum(size > len(data.train) for size in sizes):
        notes.append(f"{larger} of {len(sizes)} users have more than {available}, so some twice.")
    return notes

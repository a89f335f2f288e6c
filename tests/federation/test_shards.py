"""Shards: disjoint where the data is enough, with notes where it is not."""

from __future__ import annotations

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.distill.data import Dataset
from dtkd_opt.federation.shards import (
    Shard,
    mirrored_rows,
    partition_data,
    shard_notes,
    training_seed,
)
from tests.support.federating import instance


def test_shards_are_disjoint_where_the_data_is_enough(data: Dataset) -> None:
    problem = instance()
    shards = partition_data(data, problem, "iid", 3)
    assert [(len(s.rows), s.fresh) for s in shards] == [(240, 120), (120, 30), (100, 0), (60, 60)]
    everything = np.concatenate([shard.rows for shard in shards])
    assert len(np.unique(everything)) == 520
    assert set(everything) <= set(data.train)
    fresh = np.concatenate([shard.rows[: shard.fresh] for shard in shards])
    teacher_rows = mirrored_rows(shards)
    assert len(teacher_rows) == 520 - len(fresh)
    assert not set(teacher_rows) & set(fresh)
    assert shard_notes(data, shards) == []
    again, other = partition_data(data, problem, "iid", 3), partition_data(data, problem, "iid", 4)
    assert [s.sha256 for s in again] == [s.sha256 for s in shards]
    assert all(a.sha256 != b.sha256 for a, b in zip(other, shards, strict=True))


@pytest.mark.parametrize("partition", ["iid", "dirichlet(0.3)"])
def test_more_samples_than_there_are_overlap_with_a_note(data: Dataset, partition: str) -> None:
    shares = ((1500, 0.2, "server"), (1500, 0.2, "device"), (200, 0.2, "device"))
    shards = partition_data(data, instance(shares=shares), partition, 0)
    assert [(len(s.rows), s.fresh) for s in shards] == [(1500, 300), (1500, 300), (200, 40)]
    assert not np.array_equal(shards[0].rows, shards[1].rows)
    counts = np.bincount(data.labels.numpy()[shards[2].rows], minlength=10)
    assert (counts.std() > 10) == (partition != "iid")
    notes = " ".join(shard_notes(data, shards))
    assert "3,200 samples, more than the 1,169" in notes
    assert "2 of 3 users have more" in notes


FEWER = "users[0].samples: must be at least 10, as many as digits has classes, got 9"
ONE_CLASS = "users[0].samples: 1 samples of one class teach nothing; take more, or a larger α"


@pytest.mark.parametrize(
    ("samples", "partition", "fault"),
    [
        (9, "iid", FEWER),
        (10, "iid", ""),
        (1, "dirichlet(0.3)", ONE_CLASS),
        (9, "dirichlet(1e6)", ""),
    ],
)
def test_users_with_too_few_samples_are_told(
    data: Dataset, samples: int, partition: str, fault: str
) -> None:
    """Whether or not the data is enough for all; that some class has none is no fault."""
    for other in (200, 1500):
        problem = instance(shares=((samples, 0.5, "server"), (other, 0.5, "server")))
        shards = partition_data(data, problem, partition, 0)
        assert (*(shard.fault for shard in shards),) == (fault, "")


def test_without_mirrored_samples_there_is_no_teacher() -> None:
    with pytest.raises(do.InputError, match="the twins mirror nothing to train a teacher on"):
        mirrored_rows([Shard(np.arange(5), 5)])


def test_seeds_of_users_differ() -> None:
    seeds = {training_seed(seed, user) for seed in range(20) for user in range(20)}
    assert len(seeds) == 400

"""Private samples of users."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.distill.partition import draw_private, mirrored, split_private

LABELS = np.arange(1000) % 10

POOL = np.arange(100, 900)


def test_private_sets_of_one_seed_grow() -> None:
    large, small = (draw_private(LABELS, POOL, size, "iid", seed=3) for size in (600, 100))
    assert np.array_equal(large[:100], small)
    assert not np.array_equal(small, draw_private(LABELS, POOL, 100, "iid", seed=4))


@given(
    seed=st.integers(0, 2**31 - 1),
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=4),
    partition=st.sampled_from(["iid", "dirichlet(0.5)", "dirichlet(5)"]),
)
def test_users_sets_are_disjoint_parts_of_the_pool(
    seed: int, sizes: list[int], partition: str
) -> None:
    found = split_private(LABELS, POOL, sizes, partition, seed)
    assert [len(drawn) for drawn in found] == sizes
    together = np.concatenate(found)
    assert len(np.unique(together)) == len(together)
    assert np.isin(together, POOL).all()


def test_dirichlet_sets_differ_by_user_and_keep_no_order() -> None:
    found = split_private(LABELS, POOL, [70] * 8, "dirichlet(0.5)", seed=1)
    counts = np.array([np.bincount(LABELS[drawn], minlength=10) for drawn in found])
    even = np.array([np.bincount(LABELS[d], minlength=10) for d in
                     split_private(LABELS, POOL, [70] * 8, "dirichlet(1e6)", seed=1)])  # fmt: skip
    assert counts.std() > 2 * even.std()
    kinds = LABELS[found[0]]
    assert np.count_nonzero(np.diff(kinds)) > 30  # sorted by class there would be nine


def test_private_sets_that_cannot_be_drawn() -> None:
    with pytest.raises(do.InputError, match=r"between 1 and 800 .*, got 801"):
        draw_private(LABELS, POOL, 801, "iid", 0)
    with pytest.raises(do.InputError, match=r"class \d has none of the 12 samples; take more"):
        draw_private(LABELS, POOL, 12, "iid", 0)
    with pytest.raises(do.InputError, match="of one class teach nothing; take more, or a larger α"):
        draw_private(LABELS, POOL, 50, "dirichlet(0.001)", 0)
    with pytest.raises(do.InputError, match=r"of one class teach nothing; take more$"):
        draw_private(LABELS, POOL, 1, "iid", 0)
    for partition in ("even", "dirichlet(0)", "dirichlet(-1)", "dirichlet(1.2.3)", "dirichlet"):
        with pytest.raises(do.UsageError, match="iid or dirichlet"):
            draw_private(LABELS, POOL, 50, partition, 0)


def test_the_fresh_share_is_not_mirrored() -> None:
    assert mirrored(10, 0.3).tolist() == [False] * 3 + [True] * 7
    assert mirrored(10, 0.0).all()
    assert not mirrored(10, 1.0).any()

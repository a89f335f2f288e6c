"""Accuracy tables at many sizes at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dtkd_opt.records.accuracy import PLACES, AccuracyTable, best_accuracy
from tests.support.strategies import tables


@given(accuracy=tables(), samples=st.lists(st.integers(1, 10**15) | st.floats(1, 1e6), min_size=1))
def test_accuracy_of_many_sizes_is_of_each(accuracy: AccuracyTable, samples: list[float]) -> None:
    """To the last bit: a floor that is met alone is met among others."""
    for place in PLACES:
        separate = [accuracy.at(size, place) for size in samples]
        assert accuracy.at(np.array(samples), place).tolist() == separate
        assert accuracy.at(np.array([samples, samples]), place).tolist() == [separate, separate]
        assert all(type(value) is float for value in separate)


@given(first=tables(), second=tables(), samples=st.lists(st.integers(1, 10**6), min_size=1))
def test_best_accuracy(first: AccuracyTable, second: AccuracyTable, samples: list[int]) -> None:
    separate = [max(t.at(s, p) for t in (first, second) for p in PLACES) for s in samples]
    assert best_accuracy([first, second], np.array(samples)).tolist() == separate

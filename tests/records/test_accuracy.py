"""Accuracy tables: by hand, between and beyond their sizes, at many sizes at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.records.accuracy import PLACES, AccuracyTable, best_accuracy
from dtkd_opt.records.instance import Place
from tests.support.strategies import tables

TABLE = {"samples": [100, 1000], "device": [0.7, 0.8], "server": [0.72, 0.83]}


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


def test_tables_take_arrays() -> None:
    arrays = {key: np.array(values) for key, values in TABLE.items()}
    assert do.AccuracyTable(**arrays) == do.AccuracyTable(**TABLE)
    model = do.Model("mlp", bits=np.float32(8e6), cycles_per_sample=1, accuracy=TABLE)
    assert model.accuracy == do.AccuracyTable(**TABLE)


@given(accuracy=tables(), samples=st.integers(1, 10**6) | st.floats(1, 1e6))
def test_accuracy_is_linear_in_log_samples(accuracy: AccuracyTable, samples: float) -> None:
    for place in PLACES:
        want = np.interp(np.log(samples), np.log(accuracy.samples), getattr(accuracy, place))
        assert accuracy.at(samples, place) == pytest.approx(want, rel=1e-9, abs=1e-12)


@given(accuracy=tables())
def test_accuracy_at_and_beyond_grid_points(accuracy: AccuracyTable) -> None:
    for place in PLACES:
        column = getattr(accuracy, place)
        assert tuple(accuracy.at(samples, place) for samples in accuracy.samples) == column
        assert accuracy.at(accuracy.samples[0] / 7, place) == column[0]
        assert accuracy.at(accuracy.samples[-1] * 7, place) == column[-1]


@pytest.mark.parametrize(
    ("samples", "place", "want"),
    [
        (1, "device", 0.5),
        (100, "device", 0.5),
        (1000, "device", 0.6),
        (10**4, "device", 0.7),
        (10**9, "server", 0.9),
    ],
)
def test_accuracy_by_hand(samples: int, place: Place, want: float) -> None:
    accuracy = AccuracyTable(samples=(100, 10**4), device=(0.5, 0.7), server=(0.8, 0.9))
    assert accuracy.at(samples, place) == pytest.approx(want, rel=1e-12)

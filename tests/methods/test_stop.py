"""The stop rule, the relative gap, and the line of progress."""

from __future__ import annotations

import math
from typing import Any

import pytest

import dtkd_opt as do
from dtkd_opt.methods.stop import relative_gap


@pytest.mark.parametrize(
    ("limits", "part"),
    [
        ({"gap": "1e-6"}, "gap must be a number"),
        ({"gap": float("nan")}, "gap must be a number"),
        ({"time_limit": "5"}, "time_limit must be seconds"),
        ({"time_limit": 0}, "time_limit must be seconds"),
        ({"iterations": 2.5}, "iterations must be a whole number"),
        ({"iterations": 0}, "iterations must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": None}, "seed must be a whole number"),
    ],
)
def test_wrong_limits_are_refused_in_words(limits: dict[str, Any], part: str) -> None:
    with pytest.raises(do.UsageError, match=part):
        do.solve(do.generate_instance(2), "greedy", **limits)


def test_progress_is_one_readable_line() -> None:
    found = do.Progress("prices", 1.5, math.inf, 2.0)
    assert str(found) == "prices: bound 1.500000, incumbent -, gap -, 2.0 s"
    found = do.Progress("branching", 1.5, 2.0, 2.0)
    assert str(found) == "branching: bound 1.500000, incumbent 2.000000, gap 2.5e-01, 2.0 s"


@pytest.mark.parametrize(
    ("incumbent", "bound", "gap"),
    [
        (10.0, 9.0, 0.1),
        (-10.0, -11.0, 0.1),
        (10.0, 10.5, 0.0),  # by rounding
        (0.0, 0.0, 0.0),
        (0.0, -1.0, 1.0),
        (math.inf, 9.0, math.inf),
        (10.0, -math.inf, math.inf),
    ],
)
def test_the_gap_is_relative_to_the_incumbent(incumbent: float, bound: float, gap: float) -> None:
    assert relative_gap(incumbent, bound) == pytest.approx(gap)
    assert do.Progress("any", bound, incumbent, 0.0).gap == relative_gap(incumbent, bound)

"""The price bound and the first incumbents, against enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.methods.bounding import price_and_round, price_bound
from dtkd_opt.methods.search import Search
from dtkd_opt.methods.stop import Stop
from tests.support.options import all_choices, mean_objective, whole_pools


def small_search() -> Search:
    """Two users with two students: all choices can be enumerated."""
    instance = do.generate_instance(2, 2, 0)
    instance = instance.replace(models=instance.models[2:5:2])
    return Search(instance, do.build_options(instance), Stop())


def test_bound_optimum_incumbent() -> None:
    search = small_search()
    point = price_and_round(search)
    best = min(mean_objective(search.options, choice) for choice in all_choices(search.options))
    assert search.bound <= best * (1 + 1e-12)
    assert search.objective >= best * (1 - 1e-12)
    assert search.bound == pytest.approx(point.value / 2, rel=1e-12)
    assert search.dual_point is not None
    assert search.dual_point.value == point.value
    assert {"prices", "rounding"} <= {progress.phase for progress in search.history}


def test_the_bound_alone_tries_no_plan() -> None:
    search, whole = small_search(), small_search()
    price_bound(search)
    price_and_round(whole)
    assert search.incumbent is None
    assert search.bound == pytest.approx(min(whole.bound, whole.objective), rel=1e-8)


def test_a_caller_that_proves_its_own_bound_gets_plans_only() -> None:
    search = small_search()
    price_and_round(search, prove=False)
    assert search.bound == -math.inf
    assert search.incumbent is not None


def test_after_the_time_limit_there_still_is_a_bound() -> None:
    search = small_search()
    search.started -= 1000.0
    search.stop = Stop(time_limit=1.0)
    price_bound(search)
    assert 0 < search.bound < math.inf


def test_pools_that_prices_prove_too_small_are_named() -> None:
    """Deadlines hardly above what each of 30 users would take with all pools to itself."""
    instance = do.generate_instance(30, 1, 0)
    options = do.build_options(instance)
    alone = options.device_delay_s + whole_pools(options).sum(axis=0)
    deadlines = 1.05 * np.minimum.reduceat(alone, options.start[:-1])
    tight = instance.replace(users=instance.users.replace(deadline_s=deadlines))
    search = Search(tight, do.build_options(tight), Stop())
    with pytest.raises(do.InfeasibleError, match=r'of server "edge-0" is scarcest'):
        price_bound(search)

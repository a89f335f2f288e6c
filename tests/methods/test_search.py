"""The state of a search: its incumbent, its bound, and when they prove a gap."""

from __future__ import annotations

import math

import dtkd_opt as do
from dtkd_opt.methods.search import Search
from dtkd_opt.methods.stop import Stop


def test_a_bound_above_a_plan_proves_nothing() -> None:
    """A bound above a feasible plan is a contradiction: it is not used, and nothing is proven."""
    instance = do.generate_instance(3)
    options = do.build_options(instance)
    search = Search(instance, options, Stop(gap=1.0))
    search.try_incumbent(options.start[:-1])
    search.raise_bound(2 * search.objective)
    assert search.bound_invalid
    assert not search.proven
    assert search.bound == -math.inf
    late = Search(instance, options, Stop(gap=1.0))
    late.raise_bound(2 * search.objective)
    late.try_incumbent(options.start[:-1])
    assert late.bound_invalid
    assert late.bound == -math.inf

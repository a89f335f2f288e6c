"""The bundles: both masters find the same best prices and a relaxed choice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.pricing.bundle import MAX_STEPS
from dtkd_opt.pricing.equal_shares import first_prices
from dtkd_opt.pricing.lagrangian import Lagrangian
from dtkd_opt.pricing.masters import BoxstepBundle, Bundle, QuadraticBundle, make_bundle
from dtkd_opt.pricing.response import respond
from dtkd_opt.problem.options import Options
from dtkd_opt.records.arrays import Array
from tests.support.options import (
    all_choices,
    constrained_options,
    mean_objective,
    random_options,
    random_prices,
)
from tests.support.strategies import instances

SEEDS = st.integers(0, 2**32 - 1)
BOTH = pytest.mark.parametrize("kind", [QuadraticBundle, BoxstepBundle])


def climbed(kind: Callable[[Lagrangian, Array], Bundle], options: Options) -> Bundle:
    """A bundle at its best prices."""
    made = kind(Lagrangian(options), first_prices(options))
    for _ in range(MAX_STEPS):
        if not made.advance(1e-11):
            break
    return made


@settings(max_examples=12, deadline=None)
@given(users=st.integers(1, 30), servers=st.integers(1, 4), seed=st.integers(0, 10_000))
@example(users=5, servers=4, seed=183)  # HiGHS loses its way from the last basis
def test_both_bundles_find_the_same_bound(users: int, servers: int, seed: int) -> None:
    """Also where a server is nobody's, so that its pools are worth nothing."""
    options = random_options(users, servers, seed)
    root, box = climbed(QuadraticBundle, options), climbed(BoxstepBundle, options)
    assert root.best.value == pytest.approx(box.best.value, rel=1e-8)


def test_limits_choose_the_box() -> None:
    free, constrained = random_options(4, 2, 0), constrained_options(0, 3, 2, 0.9, 1.3)
    assert isinstance(make_bundle(Lagrangian(free), first_prices(free)), QuadraticBundle)
    assert constrained.constrained
    assert isinstance(
        make_bundle(Lagrangian(constrained), first_prices(constrained)), BoxstepBundle
    )


@BOTH
@settings(max_examples=15, deadline=None)
@given(instance=instances(max_users=3, max_servers=2, max_models=2, limits=False), seed=SEEDS)
def test_no_visited_value_exceeds_the_optimum(
    kind: Callable[[Lagrangian, Array], Bundle], instance: do.Instance, seed: int
) -> None:
    """Weak duality at every point of both bundles, from any prices."""
    options = do.build_options(instance)
    assume(np.prod(np.diff(options.start)) <= 200)
    optimum = options.n_users * min(mean_objective(options, c) for c in all_choices(options))
    start = random_prices(options, np.random.default_rng(seed))
    made = kind(Lagrangian(options), start)
    values = [made.last.value]
    for _ in range(40):
        if not made.advance(1e-9):
            break
        values.append(made.last.value)
    assert max(values) <= optimum * (1 + 1e-12) + 1e-300
    assert made.best.value == max(values)


@BOTH
@pytest.mark.parametrize(("users", "servers", "seed"), [(8, 1, 0), (20, 2, 1), (30, 3, 2)])
def test_fractions_are_a_relaxed_choice_that_fits_the_pools(
    kind: Callable[[Lagrangian, Array], Bundle], users: int, servers: int, seed: int
) -> None:
    """Users' shares of options sum to one; at the best prices they fill what has a price."""
    options = random_options(users, servers, seed)
    made = climbed(kind, options)
    fractions = made.fractions()
    assert fractions.shape == (len(options),)
    assert (fractions >= 0).all()
    assert np.add.reduceat(fractions, options.start[:-1]) == pytest.approx(np.ones(users), abs=1e-6)
    assert (fractions % 1 > 1e-3).any()  # something is split: the test is not about a choice
    shares = fractions * respond(options, made.best.prices).shares
    demand = np.array([np.bincount(options.server, x, minlength=servers) for x in shares])
    used = demand / options.capacity
    assert (used <= 1 + 1e-3).all()
    worth = made.best.prices * options.capacity
    assert (worth * (1 - used)).sum() <= 1e-3 * worth.sum()  # complementary slackness
    taken = fractions > 1e-3
    assert made.best.reduced_cost[taken].max() <= 1e-3 * float(np.abs(made.best.cost).mean())


def test_fractions_with_limits_sum_to_one() -> None:
    for seed in range(4):
        options = constrained_options(seed, 4, 2, 0.9, 1.3)
        made = climbed(BoxstepBundle, options)
        total = np.add.reduceat(made.fractions(), options.start[:-1])
        assert total == pytest.approx(np.ones(options.n_users), abs=1e-6)

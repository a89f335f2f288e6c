"""The state of a search: its incumbent, its bound, and when they prove a gap."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.methods.search import Search, make_plan
from dtkd_opt.methods.stop import Stop, TimeIsUp
from dtkd_opt.pricing.equal_shares import cheapest_options
from dtkd_opt.problem.options import DEVICE, SERVER
from tests.support.options import mean_objective, random_choice


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


def new_search(gap: float = 1e-6, time_limit: float = math.inf) -> Search:
    instance = do.generate_instance(6, 2, 1)
    return Search(instance, do.build_options(instance), Stop(gap, time_limit))


@pytest.mark.parametrize("choice", [[], (), np.array([]), [0], [0] * 6, None, "abc", [0.5] * 6])
def test_a_choice_has_one_option_of_each_user(choice: Any) -> None:
    search = new_search()
    shares, prices = np.ones((3, 6)), np.zeros((3, 2))
    for attempt in (
        search.try_incumbent,
        search.try_if_feasible,
        lambda odd: search.try_incumbent_plan(odd, shares, prices),
    ):
        with pytest.raises(do.InputError, match=r"^choice: must "):
            attempt(choice)
    for odd in (None, choice, np.ones((2, 6)), np.ones((3, 5))):
        with pytest.raises(do.InputError, match=r"^shares: must "):
            search.try_incumbent_plan(search.options.start[:-1], odd, prices)
    assert search.incumbent is None


def test_users_that_ask_for_nothing_get_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        allocation = do.allocate(new_search().options, [])  # type: ignore[arg-type]
    assert allocation.shares.shape == (3, 0)
    assert not allocation.prices.any()


@pytest.mark.parametrize("bound", [None, "a", np.array([]), math.nan, True])
def test_a_bound_is_a_number(bound: Any) -> None:
    search = new_search()
    with pytest.raises(do.UsageError, match=r"^bound must be a number of seconds, got "):
        search.raise_bound(bound)
    assert search.bound == -math.inf


def test_the_incumbent_is_the_best_choice_so_far() -> None:
    search, rng = new_search(), np.random.default_rng(0)
    best = math.inf
    for _ in range(20):
        choice = random_choice(search.options, rng)
        best = min(best, mean_objective(search.options, choice))
        search.try_incumbent(choice)
        assert search.objective == pytest.approx(best, rel=1e-12)
    found = [progress.incumbent for progress in search.history]
    assert found == sorted(found, reverse=True)
    assert search.incumbent is not None
    again = do.evaluate(search.instance, search.incumbent.plan)
    assert (again.objective, again.violations) == (search.objective, ())


def test_a_plan_that_breaks_a_limit_is_no_incumbent() -> None:
    search = new_search()
    choice = search.options.start[:-1]
    shares = 2 * do.allocate(search.options, choice).shares
    with pytest.raises(ArithmeticError, match="pool"):
        search.try_incumbent_plan(choice, shares, np.zeros((3, 2)))
    assert search.incumbent is None


def test_a_choice_that_cannot_keep_its_limits_is_no_incumbent() -> None:
    """Everybody at the server, with deadlines made for equal shares of better choices."""
    instance = do.generate_instance(20, 1, 3, do.GeneratorSettings(deadlines=1.0))
    search = Search(instance, do.build_options(instance), Stop())
    choice = cheapest_options(search.options, -search.options.server_cycles)
    assert search.try_if_feasible(choice) is None
    assert search.incumbent is None
    with pytest.raises(do.ChoiceInfeasible):
        search.try_incumbent(choice)


def test_bounds_only_rise_and_never_above_the_incumbent() -> None:
    search = new_search()
    search.try_incumbent(search.options.start[:-1])
    highest = search.objective * (1 - 1e-14)  # as J is rounded
    for bound, held in ((1.0, 1.0), (0.5, 1.0), (search.objective * (1 + 1e-9), highest)):
        search.raise_bound(bound)
        assert search.bound == pytest.approx(held, rel=1e-15)
        assert search.bound < search.objective
    assert not search.bound_invalid
    assert search.proven


def test_the_gap_is_proven_at_the_cutoff() -> None:
    search = new_search(gap=0.1)
    search.try_incumbent(search.options.start[:-1])
    cutoff = 0.9 * search.objective
    assert search.cutoff == pytest.approx(cutoff)
    search.raise_bound(cutoff * (1 - 1e-6))
    assert not search.proven
    search.raise_bound(cutoff * (1 + 1e-6))
    assert search.proven


def test_the_target_is_what_the_gap_is_proven_for() -> None:
    """A given plan a little worse than the incumbent; one too much worse cannot be reached."""
    search = new_search(gap=0.1)
    search.try_incumbent(search.options.start[:-1])
    search.target = 1.05 * search.objective
    assert search.cutoff == pytest.approx(0.9 * search.target)
    search.target = 2 * search.objective
    assert search.cutoff == pytest.approx(0.9 * search.objective)


def test_a_search_is_shown_in_one_line() -> None:
    instance = do.generate_instance(1)
    search = Search(instance, do.build_options(instance), Stop())
    assert repr(search).startswith(
        '<Search of <Instance "n1": 1 user, 1 server, 6 models>, start: bound -, incumbent -, gap -'
    )


def test_time_is_up_at_the_limit_and_not_before() -> None:
    search = new_search(time_limit=1000.0)
    search.check_time()
    search.started -= 1001.0
    with pytest.raises(TimeIsUp):
        search.check_time()
    assert search.remaining_s < 0


def test_a_plan_has_frequencies_of_the_device_or_shares_of_the_server() -> None:
    search = new_search()
    options, choice = search.options, random_choice(search.options, np.random.default_rng(3))
    assert set(options.place[choice]) == {DEVICE, SERVER}
    shares = np.arange(18.0).reshape(3, 6) + 1
    plan = make_plan(options, choice, shares)
    served = options.place[choice] == SERVER
    assert plan.uplink_hz.tolist() == shares[0].tolist()
    assert plan.downlink_hz.tolist() == shares[1].tolist()
    assert plan.cpu_hz[served].tolist() == shares[2, served].tolist()
    assert plan.device_hz[~served].tolist() == options.device_hz[choice[~served]].tolist()
    assert (plan.cpu_hz[~served] == 0).all()
    assert (plan.device_hz[served] == 0).all()

"""The proof that no choice keeps the limits: against enumeration, and where HiGHS needs it."""

from __future__ import annotations

import math

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.methods import infeasible
from dtkd_opt.methods.search import Search
from dtkd_opt.methods.stop import Stop, TimeIsUp
from dtkd_opt.pricing.equal_shares import first_prices
from tests.support.options import all_choices, mean_objective, whole_pools


def needs_splits() -> do.Instance:
    """An instance without a plan that prices of all its options do not prove so."""
    params = do.GeneratorSettings(deadlines=1.0, energy_budgets=0.5)
    instance = do.generate_instance(6, 2, 24, params)
    return with_deadlines(instance, [0.8765 * (u.deadline_s or math.nan) for u in instance.users])


def close_deadlines(seed: int, factor: float) -> do.Instance:
    """Three users with two students; deadlines are a multiple of their delays without others."""
    instance = do.generate_instance(3, 2, seed)
    instance = instance.replace(models=instance.models[2:5:2])
    options = do.build_options(instance)
    delay = options.device_delay_s + whole_pools(options).sum(axis=0)
    min_delay = np.minimum.reduceat(delay, options.start[:-1])
    return with_deadlines(instance, (factor * min_delay).tolist())


def with_deadlines(instance: do.Instance, deadlines: list[float]) -> do.Instance:
    users = tuple(
        user.replace(deadline_s=deadline)
        for user, deadline in zip(instance.users, deadlines, strict=True)
    )
    return instance.replace(users=users)


def search_of(instance: do.Instance, time_limit: float = math.inf) -> Search:
    return Search(instance, do.build_options(instance), Stop(time_limit=time_limit))


def test_the_proof_agrees_with_enumeration() -> None:
    """Proven exactly where no choice can be allocated; elsewhere a plan turns up."""
    verdicts = []
    for seed in range(6):
        for factor in (1.2, 1.5, 1.8, 2.4):
            search = search_of(close_deadlines(seed, factor))
            options = search.options
            proven = infeasible.prove_infeasible(search, first_prices(options))
            best = min(mean_objective(options, choice) for choice in all_choices(options))
            assert proven == math.isinf(best), (seed, factor)
            assert (search.incumbent is None) == proven
            verdicts.append(proven)
    assert 3 <= sum(verdicts) <= len(verdicts) - 3  # both kinds were met


def test_exact_asks_for_the_proof_and_says_so_when_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where only a split of the options proves it, a proof cut short leaves it unknown."""
    instance = needs_splits()
    result = do.solve(instance, "exact")
    assert result.status == "infeasible"
    assert "no combination of models, places" in result.reason
    monkeypatch.setattr(infeasible, "_MAX_PARTS", 1)
    result = do.solve(instance, "exact")
    assert (result.status, result.solution.termination) == ("unknown", "no_plan_found")
    assert "no proof that none exists" in result.reason


def test_the_proof_ends_at_the_time_limit() -> None:
    search = search_of(needs_splits(), time_limit=1e-9)
    with pytest.raises(TimeIsUp):
        infeasible.prove_infeasible(search, first_prices(search.options))

"""Options that no prices and no channel make worth taking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.pricing.lagrangian import price
from dtkd_opt.problem.dominance import undominated
from tests.support.strategies import instances


@settings(deadline=None, max_examples=60)
@given(instances(), st.integers(0, 10_000))
def test_a_dominated_option_is_never_the_cheapest(instance: do.Instance, seed: int) -> None:
    """Each user's min_cost cost is the same without dominated options, at any prices and gains."""
    try:
        options = do.build_options(instance)
    except do.InfeasibleError:
        return
    rows = undominated(options)
    assert set(options.user[rows]) == set(options.user)
    rng = np.random.default_rng(seed)
    factor = 10 ** rng.uniform(-2, 2, options.capacity.shape)
    prices = factor / options.capacity
    # as other channels would have it, better ones, with which no option breaks a limit
    better = (
        10 ** rng.uniform(0, 2, (options.n_users, options.n_servers))[options.user, options.server]
    )
    for changed in (
        options,
        replace(
            options,
            uplink_snr_hz=options.uplink_snr_hz * better,
            downlink_work=options.downlink_work / better,
        ),
    ):
        kept, full = (price(part, prices) for part in (changed.select_rows(rows), changed))
        min_cost = full.cost[full.choice]
        assert kept.cost[kept.choice] == pytest.approx(min_cost, rel=1e-9)


def test_of_equal_options_the_first_stays() -> None:
    instance = do.generate_instance(3)
    twins = tuple(
        model.replace(name=f"{model.name}-{i}") for model in instance.models for i in (0, 1)
    )
    single, double = (do.build_options(made) for made in (instance, instance.replace(models=twins)))
    rows = undominated(double)
    assert (double.model[rows] % 2 == 0).all()
    assert len(rows) == len(undominated(single)) < len(single)

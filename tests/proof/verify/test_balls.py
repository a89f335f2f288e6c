"""The balls: bounds that never exceed the truth, figures that are true."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import dtkd_opt as do
from dtkd_opt.pricing.equal_shares import first_prices
from dtkd_opt.problem.options import pool_delays
from dtkd_opt.proof.verify.arrays import Arrays
from dtkd_opt.proof.verify.balls import Balls, Option, accuracy_at
from dtkd_opt.records.arrays import Array
from dtkd_opt.records.instance import PLACES
from tests.support.certificates import incumbent_of
from tests.support.options import random_choice
from tests.support.strategies import instances
from tests.support.verifying import (
    BOTH,
    SEEDS,
    SMALL,
    any_prices,
    both,
    choice_of,
    load,
    odd_instances,
    options_of,
)

flint = pytest.importorskip("flint")


@BOTH
def test_figures_are_those_of_evaluate_rounded_outward(arithmetic: Any) -> None:
    for name in SMALL:
        instance = load(name)
        options = do.build_options(instance)
        choice = random_choice(options, np.random.default_rng(0))
        try:
            plan = incumbent_of(instance, options, choice)
        except do.ChoiceInfeasible:
            continue
        shares = np.array([plan.uplink_hz, plan.downlink_hz, plan.cpu_hz])
        taken = choice_of(options, choice)
        cost, delay, energy, accuracy = both(instance)[arithmetic == "arrays"].figures(
            taken, shares
        )
        true = do.evaluate(instance, do.Plan.from_columns(*taken, *shares))
        assert true.delay_s == pytest.approx(delay, rel=5e-14)
        assert true.energy_j == pytest.approx(energy, rel=5e-14)
        assert true.accuracy == pytest.approx(accuracy, rel=5e-14)
        assert cost.mean() == pytest.approx(true.objective, rel=1e-13)
        exact = both(instance)[0].figures(taken, shares)
        assert (cost >= exact[0] * (1 - 1e-15)).all()
        assert (accuracy <= exact[3] * (1 + 1e-15)).all()


def with_odd_proposals(instance: do.Instance, rng: np.random.Generator) -> Balls:
    """Balls whose minimum shares, tangents and weights are proposed far off, or are no numbers."""
    balls, propose = Balls(instance), Arrays(instance).proposals
    odd = [-1.0, 0.0, 1e-300, 0.5, 1.0, 2.0, 1e5, 1e9, 1e300, math.inf, -math.inf, math.nan]
    part = rng.choice([0.0, 0.3, 1.0])

    def proposals(prices: Array) -> Array:
        sensible = propose(prices)
        scaled = sensible * np.exp(rng.normal(size=sensible.shape) * rng.choice([1e-3, 1.0, 10.0]))
        return np.where(rng.random(scaled.shape) < part, rng.choice(odd, scaled.shape), scaled)

    balls.arrays.proposals = proposals  # type: ignore[method-assign]
    return balls


@settings(max_examples=80, deadline=None)
@given(instance=odd_instances(), seed=SEEDS)
def test_no_option_costs_less_than_its_bound(instance: do.Instance, seed: int) -> None:
    """Whatever shares an option buys within its limits, delay, error and prices cost c_k.

    Wherever the balls' bounds are evaluated: what proposes that is not trusted.
    """
    rng = np.random.default_rng(seed)
    options = options_of(instance, math.inf)
    prices = any_prices(options, rng)
    cap = options.capacity[:, options.server]
    lower = [a.option_costs(prices) for a in (*both(instance), with_odd_proposals(instance, rng))]
    assert all((bound >= 0).all() for bound in lower)
    at = (options.user, options.model, options.place, options.server)
    for _ in range(20):
        shares = cap * np.exp(-rng.exponential(size=cap.shape) * rng.choice([0.1, 1, 10]))
        pools = pool_delays(options, shares)
        delay = options.device_delay_s + pools.sum(axis=0)
        fits = (delay <= options.deadline_s) & (pools[0] <= options.uplink_limit_s)
        used = np.where(options.needs > 0, shares, 0.0)
        with np.errstate(over="ignore"):
            paid = (prices[:, options.server] * used).sum(axis=0)
        total = delay + options.error_cost_s + paid
        for bound in lower:
            assert (bound[at][fits] <= total[fits] * (1 + 1e-13)).all()


@settings(max_examples=100, deadline=None)
@given(instance=instances(limits=False))
def test_accuracy(instance: do.Instance) -> None:
    for one in instance.users:
        for model in instance.models:
            for place in PLACES:
                ball = accuracy_at(model.accuracy, float(one.samples), place)
                true = model.accuracy.at(one.samples, place)
                assert float(ball.mid()) == pytest.approx(true, rel=1e-12, abs=1e-15)


def test_a_minimum_share_is_used_only_if_proven() -> None:
    """Of an upload's least bandwidth a ball must show that less takes too much energy."""
    instance = load("n20-energy")
    options = do.build_options(instance)
    constrained = np.flatnonzero(np.isfinite(options.uplink_limit_s) & (options.uplink_bits > 0))
    keys = [
        column[constrained]
        for column in (options.user, options.model, options.place, options.server)
    ]
    shares = Arrays(instance).proposals(first_prices(options))[*keys, 0]
    assert (shares > 0).all()
    for k, share in enumerate(shares[:20].tolist()):
        n, m, p, s = (int(column[k]) for column in keys)
        with flint.ctx.workprec(128):
            held = Option(instance, n, m, p, s, share)
            free = Option(instance, n, m, p, s, share * (1 + 1e-11))
        assert not held.impossible
        assert held.min_hz == flint.arb(share)
        assert free.min_hz == 0

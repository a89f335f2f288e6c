"""What the tests of the verifier share: odd instances and prices, both arithmetics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.pricing.equal_shares import first_prices
from dtkd_opt.problem.options import Options
from dtkd_opt.proof.verify.arrays import Arrays
from dtkd_opt.proof.verify.balls import Balls
from dtkd_opt.records.arrays import Array, Index
from tests.support.paths import ROOT as ROOT
from tests.support.strategies import instances

pytest.importorskip("flint")

INSTANCES = ROOT / "instances"
SMALL = ("n5", "n10", "n20-deadlines", "n20-energy", "n10-s3", "n40-s3-limits")
SEEDS = st.integers(0, 2**32 - 1)
BOTH = pytest.mark.parametrize("arithmetic", ["balls", "arrays"])


def load(name: str) -> do.Instance:
    return do.read_instance(INSTANCES / f"{name}.json")


@st.composite
def odd_instances(draw: st.DrawFn) -> do.Instance:
    """Tiny instances: nothing fresh, all fresh, idle servers, gains over 12 decades."""
    instance = draw(instances(max_users=3, max_servers=2, max_models=2))
    changed = []
    for one in instance.users:
        gains = [g and g * 10 ** draw(st.sampled_from([-2, 0, 0, 2])) for g in one.channel_gain]
        update: dict[str, Any] = {"channel_gain": tuple(gains)}
        if draw(st.booleans()):
            update["fresh_fraction"] = draw(st.sampled_from([0.0, 1.0]))
        changed.append(one.replace(**update))
    servers = instance.servers
    if draw(st.booleans()):
        servers = (*servers, servers[0].replace(name="idle: nobody reaches it"))
        changed = [one.replace(channel_gain=(*one.channel_gain, None)) for one in changed]
    return instance.replace(servers=servers, users=changed)


def unchecked(instance: do.Instance, **changes: Any) -> do.Instance:
    """A changed copy that no file could hold, as its own check would refuse it."""
    return do.Instance.model_construct(**dict(instance) | changes)


def options_of(instance: do.Instance, max_choices: float = 200) -> Options:
    """The options, if there are any and enumerating them takes no time."""
    try:
        options = do.build_options(instance)
    except do.InfeasibleError:
        assume(False)
        raise
    assume(np.prod(np.diff(options.start)) <= max_choices)
    # what reaches its floor but for rounding is an option to the arrays, and none to balls
    assume((options.accuracy > instance.users.min_accuracy[options.user] + 1e-12).all())
    return options


def any_prices(options: Options, rng: np.random.Generator) -> Array:
    """(3, S) prices: sensible, far off, zero, or beyond all measure."""
    base = first_prices(options)
    prices: Array = base * np.exp(rng.uniform(-1, 1, base.shape) * rng.choice([0.1, 1, 5, 30]))
    odd = rng.random(base.shape) < rng.choice([0.0, 0.3])
    return np.where(odd, rng.choice([0.0, 1e-320, 1e-99, 1e99, 1e305], base.shape), prices)


def both(instance: do.Instance) -> tuple[Balls, Arrays]:
    return Balls(instance), Arrays(instance)


def choice_of(options: Options, rows: Index) -> Index:
    """(3, N) model, place and server of some of the table's options."""
    return np.array([options.model[rows], options.place[rows], options.server[rows]])

"""Options, choices, limits and prices for tests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.pricing.constrained_allocation import Conflict
from dtkd_opt.pricing.equal_shares import first_prices
from dtkd_opt.problem.options import Options, pool_delays
from dtkd_opt.records.arrays import Array, Index
from dtkd_opt.records.instance import SERVER

Case = tuple[Options, Index]
Cases = list[tuple[Options, Index, do.Allocation]]


def all_choices(options: Options) -> Iterator[Index]:
    """Every choice of one option a user."""
    rows = [range(options.start[n], options.start[n + 1]) for n in range(options.n_users)]
    for choice in itertools.product(*rows):
        yield np.array(choice)


def random_choice(options: Options, rng: np.random.Generator) -> Index:
    """One option a user, uniformly."""
    choice: Index = rng.integers(options.start[:-1], options.start[1:])
    return choice


def random_options(users: int, servers: int, seed: int) -> Options:
    """The options of a generated instance without limits."""
    return do.build_options(do.generate_instance(users, servers, seed))


def whole_pools(options: Options) -> Array:
    """(3, K) delay [s] of each option in its pools with all of them to itself."""
    return pool_delays(options, options.capacity[:, options.server])


def with_limits(options: Options, deadline_s: Array, uplink_limit_s: Array) -> Options:
    """The options with other limits, (N,) each; only uploads have the second."""
    return replace(
        options,
        deadline_s=deadline_s[options.user],
        uplink_limit_s=np.where(options.place == SERVER, uplink_limit_s[options.user], np.inf),
    )


def constrain(
    options: Options, choice: Index, rng: np.random.Generator, low: float, high: float
) -> Options:
    """Random limits for a choice, `low` to `high` times what it takes without any.

    Some users have a deadline, some uploads a limit. Limits that a user cannot keep with whole
    pools are left out, as `build_options` leaves out the options that break them.
    """
    size = len(choice)
    free = do.allocate(options, choice)
    uploads = pool_delays(options.select_rows(choice), free.shares)[0]
    deadline = free.delay * rng.uniform(low, high, size)
    limit = uploads * rng.uniform(low**2, high, size)
    pools = whole_pools(options)[:, choice]
    min_delay = options.device_delay_s[choice] + pools.sum(axis=0)
    has_deadline = (rng.random(size) < rng.uniform(0.2, 1)) & (deadline > min_delay)
    has_limit = (rng.random(size) < 0.4) & (limit > pools[0])
    deadline, limit = np.where(has_deadline, deadline, np.inf), np.where(has_limit, limit, np.inf)
    return with_limits(options, deadline, limit)


def constrained_case(seed: int, low: float = 0.9, high: float = 1.4, max_users: int = 12) -> Case:
    """A random choice of up to `max_users` users on up to three servers, with limits."""
    rng = np.random.default_rng(seed)
    options = random_options(int(rng.integers(1, max_users + 1)), int(rng.integers(1, 4)), seed)
    choice = random_choice(options, rng)
    return constrain(options, choice, rng, low, high), choice


def free_case(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    options = random_options(int(rng.integers(1, 13)), int(rng.integers(1, 4)), seed)
    return options, random_choice(options, rng)


def options_at(instance: do.Instance, place: int) -> Case:
    """Each user's first option of a place."""
    options = do.build_options(instance)
    rows = np.flatnonzero(options.place == place)
    first = np.unique(options.user[rows], return_index=True)[1]
    return options, rows[first]


def allocate_or_conflicts(options: Options, choice: Index) -> do.Allocation | list[Conflict]:
    """An allocation, or the proofs that there is none."""
    try:
        return do.allocate(options, choice)
    except do.ChoiceInfeasible as error:
        return error.conflicts or pytest.fail("infeasible without a proof")


def constrained_options(seed: int, users: int, servers: int, low: float, high: float) -> Options:
    """Two students, limits around what a random choice takes."""
    rng = np.random.default_rng(seed)
    instance = do.generate_instance(users, servers, seed)
    instance = instance.replace(models=instance.models[2:5:2])
    options = do.build_options(instance)
    constrained = constrain(options, random_choice(options, rng), rng, low, high)
    pools = whole_pools(constrained)
    late = constrained.device_delay_s + pools.sum(axis=0) > constrained.deadline_s
    return constrained.select_rows(~late & (pools[0] <= constrained.uplink_limit_s))


def random_prices(options: Options, rng: np.random.Generator, spread: float = 3.0) -> Array:
    """Prices around those of the equal-share choice, up and down by factors of exp(spread)."""
    base = first_prices(options)
    worth = (base * options.capacity).sum() / options.capacity.size + 1e-9
    base = np.where(base > 0, base, worth / options.capacity)
    prices: Array = base * np.exp(rng.uniform(-spread, spread, base.shape))
    return prices


def mean_objective(options: Options, choice: Index) -> float:
    """J [s] of a choice at its best allocation; inf where its limits cannot be kept."""
    try:
        delay = do.allocate(options, choice).delay
    except do.ChoiceInfeasible:
        return math.inf
    return float(np.mean(delay + options.error_cost_s[choice]))

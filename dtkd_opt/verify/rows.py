"""What both arithmetics of `verify` read: the instance's numbers as columns, and its options.

Only reading and selecting, no arithmetic: the numbers are the doubles that the file holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.instance import DEVICE, SERVER, Instance

Array = NDArray[np.float64]
Index = NDArray[np.int64]

LEAST, MOST = 1e-100, 1e100


@dataclass(frozen=True, eq=False)
class Users:
    """The users' numbers as columns (N,), in SI units."""

    samples: Array
    fresh_fraction: Array
    cpu_hz: Array
    tx_power_w: Array
    kappa: Array
    energy_j: Array  # inf without
    deadline_s: Array  # inf without
    min_accuracy: Array  # -inf without
    gain: Array  # (N, S), NaN where out of reach


def users_of(instance: Instance) -> Users:
    """The columns of an instance's users."""
    users = instance.users
    return Users(
        samples=users.samples.astype(float),
        fresh_fraction=users.fresh_fraction,
        cpu_hz=users.cpu_hz,
        tx_power_w=users.tx_power_w,
        kappa=users.kappa,
        energy_j=users.energy_j,
        deadline_s=users.deadline_s,
        min_accuracy=users.min_accuracy,
        gain=users.channel_gain,
    )


@dataclass(frozen=True, eq=False)
class Rows:
    """K combinations of user, model, place and server, (K,) each."""

    user: Index
    model: Index
    place: Index
    server: Index


def reachable(users: Users, span: slice, n_models: int) -> Rows:
    """All combinations of some users in which the user reaches the server."""
    user, server = np.nonzero(~np.isnan(users.gain[span]))
    size = 2 * n_models
    model = np.tile(np.repeat(np.arange(n_models), 2), len(user))
    place = np.tile([DEVICE, SERVER], n_models * len(user))
    return Rows(np.repeat(user, size) + span.start, model, place, np.repeat(server, size))


@dataclass(frozen=True, eq=False)
class Figures:
    """What users get from a plan, (K,) each, rounded outward to the plan's disfavour."""

    cost_s: Array  # T + ρ (1 - a), at most this
    delay_s: Array  # T, at most this
    energy_j: Array  # at most this
    accuracy: Array  # a, at least this


def capacity_of(instance: Instance) -> Array:
    """(3, S) the servers' pools: uplink [Hz], downlink [Hz], CPU [cycles/s]."""
    pools = ("uplink_hz", "downlink_hz", "cpu_hz")
    return np.array([[getattr(s, pool) for s in instance.servers] for pool in pools], float)


def usable(amounts: Array) -> Array:
    """Prices or shares moved down to what cannot over- or underflow: 0, or 1e-100 to 1e100."""
    return np.where(amounts < LEAST, 0.0, np.minimum(amounts, MOST))

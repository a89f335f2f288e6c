"""Realistic random instances; the settings and their sources are in instances/README.md."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.problem.options import Options, build_options, pool_delays
from dtkd_opt.records.accuracy import AccuracyTable, best_accuracy
from dtkd_opt.records.arguments import as_kind, as_record, as_whole
from dtkd_opt.records.arrays import Array
from dtkd_opt.records.calibration import Accuracy, Calibration, as_calibration, shipped_calibration
from dtkd_opt.records.elements import Server
from dtkd_opt.records.fields import Amount, Count, Fraction, Positive, Record
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.users import Users

MAX_SIZE = 10**6  # users, servers


class GeneratorSettings(Record):
    """What a random instance looks like."""

    seconds_per_error: Amount = 100.0  # ρ, the weight of the error against the delay [s]
    reach: Count = 2  # to how many servers a user has a channel, the strongest ones
    deadlines: Fraction = 0.0  # share of the users with a deadline
    energy_budgets: Fraction = 0.0  # share with an energy budget
    accuracy_floors: Fraction = 0.0  # share with a lowest accuracy
    uplink_hz: Positive = 20e6  # of each server [Hz]
    downlink_hz: Positive = 20e6  # of each server [Hz]
    server_hz_per_user: Positive = 4e9  # CPU of the servers, [cycles/s] for each user
    radius_m: Positive = 500.0  # of a server's cell [m]


def generate_instance(
    users: int,
    servers: int = 1,
    seed: int = 0,
    settings: GeneratorSettings | None = None,
    name: str | None = None,
    calibration: Calibration | None = None,
    accuracy: Accuracy = "mean",
) -> Instance:
    """A random instance of users around edge servers.

    Parameters
    ----------
    users, servers
        How many, at least one of each.
    seed
        Same seed and settings, same instance.
    settings
        Everything else; deadlines are drawn so that a plan exists.
    name
        The instance's name; by default n<users>, with -s<servers> where there are several.
    calibration, accuracy
        Where models and task are from, by default :func:`shipped_calibration`, and which of its
        accuracies: "mean", "lower95" or "fitted".

    Returns
    -------
    Instance
        Named and described by its arguments.

    Raises
    ------
    UsageError
        When `users`, `servers` or `seed` is out of range, or a setting too extreme for an instance.
    InputError
        When the calibration does not have this accuracy.
    """
    settings = as_record(GeneratorSettings, settings, "settings")
    size = "must be a whole number from 1 to a million"
    users = as_whole(users, f"users {size}", lambda n: 1 <= n <= MAX_SIZE)
    servers = as_whole(servers, f"servers {size}", lambda n: 1 <= n <= MAX_SIZE)
    seed = as_whole(seed, "seed must be a whole number of at least 0", lambda n: n >= 0)
    if name is not None:
        as_kind(str, name, "name must be a str or None")
    calibration = shipped_calibration() if calibration is None else as_calibration(calibration)
    models = calibration.models_with(accuracy)
    rng = np.random.default_rng(seed)
    gain = _channel_gains(users, servers, settings, rng)
    columns = _sample_users(users, settings, rng, [model.accuracy for model in models])
    try:
        instance = Instance(
            name=name or f"n{users}" + (f"-s{servers}" if servers > 1 else ""),
            description=f"generated: {users} users, {servers} servers, seed {seed}",
            seconds_per_error=settings.seconds_per_error,
            task=calibration.task,
            servers=_servers(users, servers, settings),
            models=models,
            users=Users.from_columns(
                name=[f"u{n}" for n in range(users)], channel_gain=gain, **columns
            ),
        )
        return _with_deadlines(instance, settings, rng)
    except InputError as error:
        raise UsageError(error.faults[0]) from None


def _channel_gains(
    users: int, servers: int, settings: GeneratorSettings, rng: np.random.Generator
) -> Array:
    """(N, S) linear gains, NaN beyond each user's `reach` strongest servers.

    3GPP urban macro path loss 128.1 + 37.6 log10(d / km) dB with 8 dB log-normal shadowing; users
    uniform in discs around the servers, which stand on a hexagonal grid of touching cells.
    """
    sites = _hexagon(servers) * settings.radius_m * np.sqrt(3)
    home = sites[np.arange(users) % servers]
    radius = settings.radius_m * np.sqrt(rng.random(users))
    position = home + radius * np.exp(2j * np.pi * rng.random(users))
    distance = np.maximum(np.abs(position[:, None] - sites[None, :]), 10.0)
    loss_db = 128.1 + 37.6 * np.log10(distance / 1e3) + 8.0 * rng.standard_normal((users, servers))
    gain: Array = 10 ** (-loss_db / 10)
    weak = np.argsort(np.argsort(-gain, axis=1), axis=1) >= settings.reach
    return np.where(weak, np.nan, gain)


def _hexagon(count: int) -> Array:
    """The `count` points of a hexagonal grid that lie nearest to the origin, as complex numbers."""
    side = int(np.ceil(np.sqrt(count))) + 1
    a, b = np.meshgrid(np.arange(-side, side + 1), np.arange(-side, side + 1))
    points = (a + b / 2 + 1j * b * np.sqrt(3) / 2).ravel()
    order = np.lexsort((np.round(np.angle(points), 9), np.round(np.abs(points), 9)))
    return np.asarray(points[order][:count])


def _sample_users(
    users: int,
    settings: GeneratorSettings,
    rng: np.random.Generator,
    accuracies: list[AccuracyTable],
) -> dict[str, NDArray[Any]]:
    """(N,) columns of the users' own properties."""
    samples = rng.integers(200, 2001, users)
    columns: dict[str, NDArray[Any]] = {
        "samples": samples,
        "fresh_fraction": rng.uniform(0.05, 0.5, users).round(4),
        "cpu_hz": rng.uniform(0.3e9, 2e9, users).round(-6),
        "tx_power_w": rng.uniform(0.1, 0.2, users).round(4),
        "kappa": np.full(users, 1e-28),
    }
    budget = np.exp(rng.uniform(np.log(0.01), np.log(0.2), users)).round(4)
    has_budget = rng.random(users) < settings.energy_budgets
    columns["energy_j"] = np.where(has_budget, budget, np.inf)
    # no budget forbids its device to a user, while a weak channel may keep it from the server
    on_device = best_accuracy(accuracies, samples, ("device",))
    best = np.where(has_budget, on_device, best_accuracy(accuracies, samples))
    floor = best - rng.uniform(0.01, 0.06, users)
    has_floor = rng.random(users) < settings.accuracy_floors
    columns["min_accuracy"] = np.where(has_floor, floor.round(4), -np.inf)
    return columns


def _servers(users: int, servers: int, settings: GeneratorSettings) -> tuple[Server, ...]:
    return tuple(
        Server(
            name=f"edge-{s}",
            uplink_hz=settings.uplink_hz,
            downlink_hz=settings.downlink_hz,
            cpu_hz=settings.server_hz_per_user * users / servers,
            tx_power_w=20.0,
            noise_w_per_hz=10 ** (-174 / 10) / 1e3,
        )
        for s in range(servers)
    )


def _with_deadlines(
    instance: Instance, settings: GeneratorSettings, rng: np.random.Generator
) -> Instance:
    """Deadlines of 1.02 to 1.5 times a delay that all users can have at the same time.

    That delay is each user's minimum over models and places at its strongest server, when the users
    of a server share its pools equally: a feasible plan by construction.
    """
    size = len(instance.users)
    factor, chosen = rng.uniform(1.02, 1.5, size), rng.random(size) < settings.deadlines
    if not chosen.any():
        return instance
    delay = _equal_share_delay(build_options(instance))[chosen] * factor[chosen]
    deadline = np.full(size, np.inf)
    deadline[chosen] = np.char.mod("%.6g", delay).astype(float)  # readable, and as few bytes
    return instance.replace(users=instance.users.replace(deadline_s=deadline))


def _equal_share_delay(options: Options) -> Array:
    """(N,) minimum delay at the strongest server, its pools shared equally by its users."""
    strongest = np.maximum.reduceat(options.uplink_snr_hz, options.start[:-1])
    attached = options.uplink_snr_hz == strongest[options.user]
    home = np.zeros(options.n_users, int)
    home[options.user[attached]] = options.server[attached]
    users = np.bincount(home, minlength=options.n_servers)
    at_home = (options.capacity / np.maximum(users, 1))[:, options.server]
    pools = pool_delays(options, at_home)
    delay = options.device_delay_s + pools.sum(axis=0)
    kept = attached & (pools[0] <= options.uplink_limit_s)
    return np.minimum.reduceat(np.where(kept, delay, np.inf), options.start[:-1])

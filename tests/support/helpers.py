"""What several test files share: tables, choices, limits, prices, the equations in plain Python."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.pricing.constrained_allocation import Conflict
from dtkd_opt.pricing.equal_shares import first_prices
from dtkd_opt.problem.options import SERVER, Index, Options, pool_delays
from dtkd_opt.problem.physics import Array
from dtkd_opt.records.instance import FORMAT, AccuracyTable, Instance, Model, Server, Task, User
from tests.support.paths import INSTANCES as INSTANCES

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
    """The option table of a generated instance without limits."""
    return do.build_options(do.generate_instance(users, servers, seed))


def whole_pools(options: Options) -> Array:
    """(3, K) delay [s] of each option in its pools with all of them to itself."""
    return pool_delays(options, options.capacity[:, options.server])


def with_limits(options: Options, deadline_s: Array, uplink_limit_s: Array) -> Options:
    """The table with other limits, (N,) each; only uploads have the second."""
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
    pools are left out, as the options that break them are in an option table.
    """
    size = len(choice)
    free = do.allocate(options, choice)
    uploads = pool_delays(options.select_rows(choice), free.shares)[0]
    deadline = free.delay * rng.uniform(low, high, size)
    limit = uploads * rng.uniform(low**2, high, size)
    pools = whole_pools(options)[:, choice]
    alone = options.device_delay_s[choice] + pools.sum(axis=0)
    held = (rng.random(size) < rng.uniform(0.2, 1)) & (deadline > alone)
    limited = (rng.random(size) < 0.4) & (limit > pools[0])
    return with_limits(options, np.where(held, deadline, np.inf), np.where(limited, limit, np.inf))


def constrained_case(seed: int, low: float = 0.9, high: float = 1.4, most: int = 12) -> Case:
    """A random choice of up to `most` users on up to three servers, with limits."""
    rng = np.random.default_rng(seed)
    options = random_options(int(rng.integers(1, most + 1)), int(rng.integers(1, 4)), seed)
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


def verdict(options: Options, choice: Index) -> do.Allocation | list[Conflict]:
    """An allocation, or the proofs that there is none."""
    try:
        return do.allocate(options, choice)
    except do.ChoiceInfeasible as error:
        return error.conflicts or pytest.fail("infeasible without a proof")


def limited_options(seed: int, users: int, servers: int, low: float, high: float) -> Options:
    """Two students, limits around what a random choice takes."""
    rng = np.random.default_rng(seed)
    instance = do.generate_instance(users, servers, seed)
    instance = instance.model_copy(update={"models": instance.models[2:5:2]})
    options = do.build_options(instance)
    limited = constrain(options, random_choice(options, rng), rng, low, high)
    pools = whole_pools(limited)
    late = limited.device_delay_s + pools.sum(axis=0) > limited.deadline_s
    return limited.select_rows(~late & (pools[0] <= limited.uplink_limit_s))


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


def small_instance(*users: User, **changes: object) -> Instance:
    """Two servers, two students and the given users, in round numbers."""
    server = Server(
        name="edge-0",
        uplink_hz=1e6,
        downlink_hz=2e6,
        cpu_hz=8e9,
        tx_power_w=20.0,
        noise_w_per_hz=4e-21,
    )
    student = Model(
        name="small",
        bits=1.6e6,
        cycles_per_sample=4e4,
        accuracy=AccuracyTable(samples=(100, 1000), device=(0.7, 0.8), server=(0.72, 0.83)),
    )
    larger = AccuracyTable(samples=(100, 400, 900), device=(0.6, 0.8, 0.85), server=(0.7, 0.8, 0.9))
    base = Instance(
        format=FORMAT,
        name="small",
        seconds_per_error=300.0,
        task=Task(
            epochs=5, bits_per_sample=6272, bits_per_label=320, teacher_cycles_per_sample=7.5e7
        ),
        servers=(server, server.model_copy(update={"name": "edge-1", "uplink_hz": 3e6})),
        models=(
            student,
            Model(name="large", bits=8e6, cycles_per_sample=3e5, accuracy=larger),
        ),
        users=users,
    )
    return base.model_copy(update=changes)


def user(name: str, **changes: object) -> User:
    """A user of `small_instance` that reaches both servers and has no limits."""
    base = User(
        name=name,
        samples=400,
        fresh_fraction=0.25,
        cpu_hz=1.2e9,
        tx_power_w=0.2,
        kappa=1e-28,
        channel_gain=(1e-11, 3e-12),
    )
    return User(**{**base.model_dump(), **changes})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Figures:
    """One user's figures, by the equations of formulations/README.md in plain Python."""

    upload_s: float
    download_s: float
    compute_s: float
    energy_j: float
    accuracy: float

    @property
    def delay_s(self) -> float:
        return self.upload_s + self.download_s + self.compute_s


def figures(
    instance: Instance,
    n: int,
    model: int,
    place: str,
    server: int,
    uplink_hz: float,
    downlink_hz: float,
    cpu_hz: float,
) -> Figures:
    """What user `n` gets from a student, a place, a server it reaches and its shares."""
    user, student = instance.users[n], instance.models[model]
    edge, task = instance.servers[server], instance.task
    gain = user.channel_gain[server]
    assert gain is not None
    efficiency = math.log1p(edge.tx_power_w * gain / edge.noise_w_per_hz / edge.downlink_hz)
    downlink = downlink_hz * efficiency / math.log(2)
    training = task.epochs * user.samples * student.cycles_per_sample
    accuracy = interpolate(student.accuracy, user.samples, place)
    if place == "device":
        labels = (1 - user.fresh_fraction) * user.samples * task.bits_per_label
        energy = user.kappa * cpu_hz**2 * training
        return Figures(0.0, _over(labels, downlink), _over(training, cpu_hz), energy, accuracy)
    snr = user.tx_power_w * gain / edge.noise_w_per_hz
    uplink = uplink_hz * math.log1p(snr / uplink_hz) / math.log(2) if uplink_hz else 0.0
    fresh = user.fresh_fraction * user.samples
    upload = _over(fresh * task.bits_per_sample, uplink)
    cycles = fresh * task.teacher_cycles_per_sample + training
    energy = user.tx_power_w * upload
    return Figures(upload, _over(student.bits, downlink), _over(cycles, cpu_hz), energy, accuracy)


def _over(amount: float, rate: float) -> float:
    if not amount:
        return 0.0
    return amount / rate if rate else math.inf


def interpolate(accuracy: AccuracyTable, samples: float, place: str) -> float:
    """Piecewise linear in log(samples), constant beyond the ends."""
    values = accuracy.device if place == "device" else accuracy.server
    grid = accuracy.samples
    if samples <= grid[0]:
        return values[0]
    for i in range(1, len(grid)):
        if samples <= grid[i]:
            share = math.log(samples / grid[i - 1]) / math.log(grid[i] / grid[i - 1])
            return (1 - share) * values[i - 1] + share * values[i]
    return values[-1]


TRIAL = {  # accuracy at the server and on the device, of a trial before the shipped table
    "logreg": ((0.702, 0.765, 0.794, 0.812), (0.699, 0.759, 0.795, 0.816)),
    "mlp16": ((0.691, 0.759, 0.788, 0.813), (0.685, 0.757, 0.790, 0.817)),
    "mlp64": ((0.717, 0.779, 0.808, 0.834), (0.707, 0.770, 0.805, 0.835)),
    "lenet_s": ((0.686, 0.752, 0.798, 0.842), (0.671, 0.751, 0.800, 0.843)),
    "cnn_m": ((0.758, 0.817, 0.857, 0.882), (0.740, 0.802, 0.846, 0.875)),
    "resnet8": ((0.697, 0.784, 0.843, 0.881), (0.678, 0.766, 0.832, 0.870)),
}


def trial_table() -> do.Calibration:
    """For tests with stored values: the shipped models with accuracies that never change."""
    shipped = do.shipped_calibration()
    models = tuple(
        model.model_copy(
            update={
                "accuracy": AccuracyTable(
                    samples=(100.0, 300.0, 1000.0, 3000.0),
                    server=TRIAL[model.name][0],
                    device=TRIAL[model.name][1],
                )
            }
        )
        for model in shipped.models
    )
    task = shipped.task.model_copy(update={"teacher_cycles_per_sample": 20_600_000 / 16})
    return shipped.model_copy(update={"task": task, "models": models})

"""Hypothesis strategies that several test files share."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from dtkd_opt.records.instance import (
    FORMAT,
    PLACES,
    AccuracyTable,
    Instance,
    Model,
    Server,
    Task,
    User,
)

NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=8
) | st.sampled_from(["u0", "edge-0", "mlp-64", "Zürich", "用户"])


def magnitudes(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers spread evenly over the decades from `low` to `high`."""
    logs = st.floats(math.log10(low), math.log10(high))
    return logs.map(lambda log: min(max(10.0**log, low), high))


FRACTIONS = st.floats(0, 1) | st.sampled_from([0.0, 1.0])
EPOCHS, SAMPLES = st.integers(1, 50), st.integers(10, 5000)
CYCLES = magnitudes(1e3, 1e7)


@st.composite
def tables(draw: st.DrawFn) -> AccuracyTable:
    """Accuracy tables of 1 to 4 rows; the accuracies need not rise."""
    samples = sorted(draw(st.sets(SAMPLES, min_size=1, max_size=4)))
    column = st.lists(FRACTIONS, min_size=len(samples), max_size=len(samples))
    return AccuracyTable(samples=samples, device=draw(column), server=draw(column))


def tasks() -> st.SearchStrategy[Task]:
    return st.builds(
        Task,
        epochs=EPOCHS,
        bits_per_sample=magnitudes(1e4, 1e8),
        bits_per_label=magnitudes(1e1, 1e5),
        teacher_cycles_per_sample=st.just(0.0) | magnitudes(1e3, 1e9),
    )


def servers(name: str) -> st.SearchStrategy[Server]:
    return st.builds(
        Server,
        name=st.just(name),
        uplink_hz=magnitudes(1e5, 1e8),
        downlink_hz=magnitudes(1e5, 1e8),
        cpu_hz=magnitudes(1e9, 1e12),
        tx_power_w=st.floats(1, 40),
        noise_w_per_hz=magnitudes(2e-21, 8e-21),
    )


def models(name: str) -> st.SearchStrategy[Model]:
    return st.builds(
        Model,
        name=st.just(name),
        bits=magnitudes(1e4, 1e8),
        cycles_per_sample=CYCLES,
        accuracy=tables(),
    )


@st.composite
def users(draw: st.DrawFn, name: str, n_servers: int, students: list[Model], limits: bool) -> User:
    """One user that reaches at least one server and whose `min_accuracy` some model meets."""
    gains = st.lists(
        st.none() | magnitudes(1e-14, 1e-6), min_size=n_servers, max_size=n_servers
    ).filter(any)
    samples = draw(SAMPLES)
    optional: dict[str, Any] = {}
    if limits:
        best = max(m.accuracy.at(samples, place) for m in students for place in PLACES)
        optional = {
            "energy_j": draw(st.none() | magnitudes(1e-3, 1e4)),
            "deadline_s": draw(st.none() | magnitudes(1e-1, 1e5)),
            "min_accuracy": draw(st.none() | st.floats(0, best)),
        }
    return User(
        name=name,
        samples=samples,
        fresh_fraction=draw(st.just(0.0) | st.floats(1e-12, 1)),
        cpu_hz=draw(magnitudes(1e8, 1e10)),
        tx_power_w=draw(magnitudes(1e-2, 1)),
        kappa=draw(st.just(0.0) | magnitudes(1e-29, 1e-26)),
        channel_gain=draw(gains),
        **optional,
    )


@st.composite
def instances(
    draw: st.DrawFn,
    max_users: int = 4,
    max_servers: int = 3,
    max_models: int = 3,
    limits: bool = True,
) -> Instance:
    """Random valid instances of physically sensible magnitudes.

    Parameters
    ----------
    max_users, max_servers, max_models
        Each instance has between one and this many.
    limits
        Whether users may have an energy budget, a deadline and an accuracy floor. A floor is
        always met by some model; budgets and deadlines may leave a user without an option, so
        that `build_options` raises InfeasibleError.
    """

    def names(max_size: int) -> list[str]:
        return draw(st.lists(NAMES, min_size=1, max_size=max_size, unique=True))

    edge = [draw(servers(name)) for name in names(max_servers)]
    students = [draw(models(name)) for name in names(max_models)]
    return Instance(
        format=FORMAT,
        name=draw(NAMES),
        description=draw(st.none() | st.just("drawn by hypothesis")),
        seconds_per_error=draw(st.floats(0, 1000)),
        task=draw(tasks()),
        servers=edge,
        models=students,
        users=[draw(users(name, len(edge), students, limits)) for name in names(max_users)],
    )

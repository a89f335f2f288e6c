"""Every method on every kind of problem: one table of what must hold whatever the method."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import cycle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from tests.support.instances import small_instance, user
from tests.support.options import all_choices, mean_objective, whole_pools
from tests.support.paths import INSTANCES

METHODS = {
    "price": do.Price(),
    "exact": do.Exact(),
    "exact by HiGHS alone": do.Exact(fixing=False, highs=do.HighsSettings(threads=1)),
    "q-learning": do.QLearning(rounds=40),
    "q-learning cold": do.QLearning(rounds=40, cold=True),
    "dqn": do.DQN(rounds=6),
    "greedy": do.Greedy(),
    "all-device": do.AllDevice(),
    "all-server": do.AllServer(),
    "random": do.Random(),
}
PROVING = ("price", "exact", "exact by HiGHS alone")
DETERMINISTIC = ("price", "exact", "greedy", "all-device", "all-server")


def generated(users: int, servers: int, seed: int, **drawn: float) -> do.Instance:
    """With two students, so that all choices can be enumerated."""
    instance = do.generate_instance(users, servers, seed, do.GeneratorSettings(**drawn))
    return instance.replace(models=instance.models[2:5:2])


def with_users(instance: do.Instance, **columns: object) -> do.Instance:
    """With other values in columns of its users."""
    return instance.replace(users=instance.users.replace(**columns))


def unreachable(seed: int) -> do.Instance:
    """Each user reaches one server of two."""
    instance = generated(3, 2, seed)
    gain = instance.users.channel_gain.copy()
    gain[:] = np.nanmax(gain, axis=1, keepdims=True)
    gain[np.arange(3), (np.arange(3) + seed) % 2] = math.nan
    return with_users(instance, channel_gain=gain)


def heterogeneous(seed: int) -> do.Instance:
    """Devices, samples and channels over several decades."""
    instance, rng = generated(3, 2, seed), np.random.default_rng(seed)
    users = instance.users
    return with_users(
        instance,
        cpu_hz=users.cpu_hz * 10.0 ** rng.uniform(-1.5, 1.5, 3),
        samples=np.array([100, 1500, 20000])[rng.permutation(3)],
        channel_gain=users.channel_gain * 10.0 ** rng.uniform(-2, 2, (3, 1)),
    )


def with_deadlines(instance: do.Instance, factor: float) -> do.Instance:
    """Deadlines are a multiple of each user's shortest delay without the others."""
    options = do.build_options(instance)
    delay = options.device_delay_s + whole_pools(options).sum(axis=0)
    min_delay = np.minimum.reduceat(delay, options.start[:-1])
    return with_users(instance, deadline_s=factor * min_delay)


KINDS: dict[str, Callable[[int], do.Instance]] = {
    "no limits": lambda seed: generated(3, 1, seed),
    "deadlines": lambda seed: with_deadlines(generated(3, 1, seed), 8.0),
    "energy budgets": lambda seed: generated(3, 1, seed, energy_budgets=1.0),
    "accuracy floors": lambda seed: do.generate_instance(
        2, 1, seed, do.GeneratorSettings(accuracy_floors=1.0)
    ),
    "several servers": lambda seed: generated(3, 2, seed),
    "several servers, limits": lambda seed: with_deadlines(
        generated(3, 2, seed, energy_budgets=1.0), 4.0
    ),
    "unreachable servers": unreachable,
    "a single user": lambda seed: generated(1, 2, seed),
    "nothing fresh": lambda seed: with_users(generated(3, 1, seed), fresh_fraction=np.zeros(3)),
    "everything fresh": lambda seed: with_users(generated(3, 2, seed), fresh_fraction=np.ones(3)),
    "heterogeneous users": heterogeneous,
    "copies of one user": lambda seed: small_instance(*(user(f"u{n}") for n in range(3))),
    "one student": lambda seed: generated(3, 2, seed).replace(
        models=do.generate_instance(3, 2, seed).models[3:4]
    ),
    "error costs nothing": lambda seed: generated(3, 1, seed).replace(seconds_per_error=0.0),
    "close deadlines": lambda seed: with_deadlines(generated(3, 1, seed), 3.0),
    "deadlines that cannot be kept": lambda seed: with_deadlines(generated(3, 1, seed), 1.2),
}
GAP = 1e-9
POOLS = ("uplink_hz", "downlink_hz", "cpu_hz")
SEEDS = st.integers(0, 1000)
each_method = pytest.mark.parametrize("method", METHODS)
each_kind = pytest.mark.parametrize("kind", KINDS)


@cache
def optimum(kind: str, seed: int) -> float:
    """Minimum of J over all choices, each allocated exactly; inf if no choice is feasible."""
    try:
        options = do.build_options(KINDS[kind](seed))
    except do.InfeasibleError:  # a user has no option
        return math.inf
    return min(mean_objective(options, choice) for choice in all_choices(options))


def untimed(result: do.Result) -> bytes:
    """The solution file without its runtime."""
    return result.solution.replace(runtime_s=0.0).to_bytes()


@cache
def solved(kind: str, method: str) -> do.Result:
    """The kind's instance of seed 0, solved once for all properties."""
    return do.solve(KINDS[kind](0), METHODS[method], gap=GAP, seed=1)


@each_method
@each_kind
def test_bound_optimum_incumbent(kind: str, method: str) -> None:
    """bound ≤ enumerated optimum ≤ incumbent, and equal for the methods that prove it."""
    result, best = solved(kind, method), optimum(kind, 0)
    if math.isinf(best):
        assert result.plan is None
        assert result.reason
        assert result.status in ("infeasible", *([] if method in PROVING else ["unknown"]))
        return
    assert result.bound <= best * (1 + 1e-9)
    if method in PROVING:
        assert (result.status, result.solution.termination) == ("optimal", "gap_reached")
        assert result.objective == pytest.approx(best, rel=2e-7)
    if result.plan is None:
        assert result.solution.termination == "no_plan_found"
        assert result.reason
        return
    assert result.objective >= best * (1 - 1e-9)
    assert result.bound <= result.objective
    assert do.evaluate(result.instance, result.plan).violations == ()
    assert do.check(result.instance, result.solution) == []


@each_method
@each_kind
def test_same_seed_same_answer(kind: str, method: str) -> None:
    """Byte for byte, but for the time that it took."""
    again = do.solve(KINDS[kind](0), METHODS[method], gap=GAP, seed=1)
    assert untimed(again) == untimed(solved(kind, method))


def check_relabelling(first: do.Result, method: str, order: Sequence[int]) -> None:
    users = first.instance.users
    turned = first.instance.replace(users=tuple(users[i] for i in order))
    second = do.solve(turned, METHODS[method], gap=GAP)
    assert first.status == second.status
    assert first.objective == pytest.approx(second.objective, rel=1e-8)


@pytest.mark.parametrize("method", DETERMINISTIC)
@each_kind
def test_relabelling_users_changes_nothing(kind: str, method: str) -> None:
    first = solved(kind, method)
    check_relabelling(first, method, np.roll(range(len(first.instance.users)), 1).tolist())


@pytest.mark.slow
@pytest.mark.parametrize("method", DETERMINISTIC)
@each_kind
@settings(max_examples=4, deadline=None)
@given(seed=SEEDS, data=st.data())
def test_relabelling_users_of_any_instance_changes_nothing(
    kind: str, method: str, seed: int, data: st.DataObject
) -> None:
    first = do.solve(KINDS[kind](seed), METHODS[method], gap=GAP)
    order = data.draw(st.permutations(range(len(first.instance.users))))
    check_relabelling(first, method, order)


def check_more_resources(poor: do.Result, pool: str, method: str) -> None:
    server = poor.instance.servers[0]
    # twice the downlink band at twice the power has the same density, so only the pool grows
    update = {pool: 2 * getattr(server, pool)}
    if pool == "downlink_hz":
        update["tx_power_w"] = 2 * server.tx_power_w
    servers = (server.replace(**update), *poor.instance.servers[1:])
    rich = do.solve(poor.instance.replace(servers=servers), METHODS[method], gap=GAP)
    assert rich.objective <= poor.objective * (1 + 2e-8)


@pytest.mark.parametrize("method", ["price", "exact"])
@pytest.mark.parametrize(("kind", "pool"), list(zip(KINDS, cycle(POOLS))))
def test_more_resources_never_cost_more(kind: str, pool: str, method: str) -> None:
    check_more_resources(solved(kind, method), pool, method)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["price", "exact"])
@each_kind
@settings(max_examples=4, deadline=None)
@given(seed=SEEDS, pool=st.sampled_from(POOLS))
def test_more_resources_of_any_instance_never_cost_more(
    kind: str, pool: str, method: str, seed: int
) -> None:
    check_more_resources(do.solve(KINDS[kind](seed), METHODS[method], gap=GAP), pool, method)


@pytest.mark.parametrize("users", [5, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("iterations", [None, 3])
@pytest.mark.parametrize("limits", [0.0, 0.5])
@each_method
def test_same_seed_same_answer_of_more_users(
    method: str, limits: float, iterations: int | None, users: int
) -> None:
    drawn = do.GeneratorSettings(deadlines=limits, energy_budgets=limits)
    instance = do.generate_instance(users, 2, 1, drawn)
    first, second = (
        do.solve(instance, METHODS[method], gap=1e-4, iterations=iterations, seed=5)
        for _ in range(2)
    )
    assert untimed(first) == untimed(second)


@pytest.mark.parametrize("method", ["random", "q-learning cold"])
def test_seeds_differ(method: str) -> None:
    instance = do.generate_instance(12, 2, 4)
    found = {do.solve(instance, METHODS[method], seed=seed).objective for seed in range(6)}
    assert len(found) > 1


# --- the shipped instances

SHIPPED = ("n5", "n10", "n10-s3", "n20", "n20-deadlines", "n20-energy")
NO_PLAN = {  # that a method by its rule may choose, and why
    ("n20-deadlines", "all-device"): "2 users have no option that can be trained at the device",
    ("n20-deadlines", "all-server"): "2 users have no option that can be trained at the server",
    ("n20-deadlines", "random"): "its choice has no feasible allocation",
    ("n20-energy", "all-server"): "1 users have no option that can be trained at the server",
}
with (INSTANCES / "best.csv").open() as file:
    BEST = {row["instance"]: float(row["best_value"]) for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("method", do.METHODS)
def test_bound_best_incumbent(name: str, method: str) -> None:
    """bound ≤ optimum ≤ incumbent, and the optimum itself for the methods that prove it."""
    check_against_best(name, method, iterations=300 if method == "q-learning" else None)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_bound_best_incumbent_of_q_learning_in_full(name: str) -> None:
    """With all the rounds that it plays unless told otherwise."""
    check_against_best(name, "q-learning")


def check_against_best(name: str, method: str, iterations: int | None = None) -> None:
    instance = do.read_instance(INSTANCES / f"{name}.json")
    result = do.solve(instance, method, iterations=iterations)
    best = BEST[name]
    assert result.bound <= best * (1 + 1e-9)
    assert result.bound >= best * 0.98
    if method in ("auto", "price", "exact"):
        assert result.status == "optimal"
        assert result.objective == pytest.approx(best, rel=1.1e-6)
    if (name, method) in NO_PLAN:
        assert (result.incumbent, result.solution.termination) == (None, "no_plan_found")
        assert NO_PLAN[name, method] in result.reason
        return
    assert result.objective >= best * (1 - 1e-9)
    assert math.isfinite(result.objective)
    assert do.check(instance, result.solution) == []

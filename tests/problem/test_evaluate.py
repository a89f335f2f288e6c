"""A plan's figures against a plain loop; every kind of violation is found and named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.methods.search import make_plan
from dtkd_opt.problem.evaluate import evaluate
from dtkd_opt.problem.options import DEVICE, SERVER
from dtkd_opt.records.arrays import Array
from dtkd_opt.records.instance import PLACES, Instance
from tests.support.equations import figures
from tests.support.instances import small_instance, user
from tests.support.options import constrain, random_choice
from tests.support.strategies import instances

USERS = (
    user("a", samples=700),
    user("b", cpu_hz=2e9, fresh_fraction=0.4),
    user("c", samples=900, fresh_fraction=0.0),
    user("d", fresh_fraction=1.0, channel_gain=(None, 2e-12)),
)


def plan_with(**changes: list[float]) -> do.Plan:
    """A feasible plan for USERS with some columns changed."""
    columns = {
        "model": [0, 1, 1, 0],
        "place": [SERVER, DEVICE, SERVER, DEVICE],
        "server": [0, 0, 1, 1],
        "uplink_hz": [9e5, 0.0, 0.0, 0.0],
        "downlink_hz": [1e6, 1e6, 2e6, 0.0],
        "cpu_hz": [7e9, 1.5e9, 8e9, 1.2e9],
    }
    return do.Plan.from_columns(**{k: np.array(v) for k, v in {**columns, **changes}.items()})


def instance_with(n: int, **limits: object) -> Instance:
    """The instance of USERS, where user n has other properties."""
    users = [u.replace(**limits) if i == n else u for i, u in enumerate(USERS)]
    return small_instance(*users)


def violations(instance: Instance, plan: do.Plan) -> tuple[str, ...]:
    return evaluate(instance, plan).violations


def assert_evaluation_is_the_loops(instance: Instance, plan: do.Plan) -> None:
    """Delay, accuracy, energy and J of formulations/README.md, user by user in plain Python."""
    found, total = evaluate(instance, plan), 0.0
    for n in range(len(instance.users)):
        exact = figures(
            instance,
            n,
            int(plan.model[n]),
            PLACES[plan.place[n]],
            int(plan.server[n]),
            float(plan.uplink_hz[n]),
            float(plan.downlink_hz[n]),
            float(plan.compute_hz[n]),
        )
        total += exact.delay_s + instance.seconds_per_error * (1 - exact.accuracy)
        assert found.delay_s[n] == pytest.approx(exact.delay_s, rel=1e-12)
        assert found.accuracy[n] == pytest.approx(exact.accuracy, rel=1e-12, abs=1e-15)
        assert found.energy_j[n] == pytest.approx(exact.energy_j, rel=1e-12)
    assert found.objective == pytest.approx(total / len(instance.users), rel=1e-12)
    assert found.total_delay_s == pytest.approx(found.delay_s.sum(), rel=1e-15)
    assert found.mean_accuracy == pytest.approx(found.accuracy.mean(), rel=1e-15)


def test_by_hand() -> None:
    """Device: 8e7 cycles at 1 GHz are 0.08 s and 1e-28 · 1e18 · 8e7 = 0.008 J; 96 kbit labels."""
    plan = do.Plan.from_columns(
        model=np.array([0]),
        place=np.array([DEVICE]),
        server=np.array([0]),
        uplink_hz=np.array([0.0]),
        downlink_hz=np.array([1e6]),
        cpu_hz=np.array([1e9]),
    )
    found = evaluate(small_instance(user("u")), plan)
    download = 96_000 / (1e6 * np.log2(1 + 20 * 1e-11 / (4e-21 * 2e6)))
    accuracy = 0.7 + 0.1 * np.log10(4)
    assert found.delay_s == pytest.approx([0.08 + download], rel=1e-12)
    assert found.energy_j == pytest.approx([0.008], rel=1e-12)
    assert found.accuracy == pytest.approx([accuracy], rel=1e-12)
    assert found.objective == pytest.approx(0.08 + download + 300 * (1 - accuracy), rel=1e-12)
    assert found.violations == ()


def test_small_instance_against_the_loop() -> None:
    assert_evaluation_is_the_loops(small_instance(*USERS), plan_with())


@settings(max_examples=60, deadline=None)
@given(instance=instances(), data=st.data())
def test_random_plans_against_the_loop(instance: Instance, data: st.DataObject) -> None:
    """Any plan on reachable servers, feasible or not."""
    size = len(instance.users)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    reached = [[s for s, g in enumerate(u.channel_gain) if g] for u in instance.users]
    plan = do.Plan.from_columns(
        model=rng.integers(0, len(instance.models), size),
        place=rng.integers(0, 2, size),
        server=np.array([rng.choice(servers) for servers in reached]),
        uplink_hz=10 ** rng.uniform(2, 8, size),
        downlink_hz=10 ** rng.uniform(2, 8, size),
        cpu_hz=10 ** rng.uniform(6, 11, size),
    )
    assert_evaluation_is_the_loops(instance, plan)


def test_a_feasible_plan_has_no_violations() -> None:
    assert violations(small_instance(*USERS), plan_with()) == ()


@pytest.mark.parametrize(
    ("column", "values", "server", "pool"),
    [
        ("uplink_hz", [1.1e6, 0.0, 0.0, 0.0], "edge-0", "uplink"),
        ("downlink_hz", [1e6, 1.1e6, 2e6, 0.0], "edge-0", "downlink"),
        ("cpu_hz", [7e9, 1.5e9, 8.1e9, 1.2e9], "edge-1", "CPU"),
    ],
)
def test_overdrawn_pool(column: str, values: list[float], server: str, pool: str) -> None:
    (line,) = violations(small_instance(*USERS), plan_with(**{column: values}))
    assert f'"{server}": its {pool} pool' in line
    assert "overdrawn" in line


def test_pools_are_held_to_one_part_in_a_billion() -> None:
    def used(excess: float) -> tuple[str, ...]:
        shares = [1e6 * (1 + excess), 0.0, 0.0, 0.0]
        return violations(small_instance(*USERS), plan_with(uplink_hz=shares))

    assert used(0.5e-9) == ()
    assert len(used(2e-9)) == 1


def test_a_devices_own_frequency_is_no_share_of_the_server() -> None:
    """User b computes at 1.5 GHz itself: the 8 GHz of edge-0 are all user a's."""
    assert violations(small_instance(*USERS), plan_with(cpu_hz=[8e9, 1.5e9, 8e9, 1.2e9])) == ()


def test_unused_shares_still_count() -> None:
    """User b trains on its device; the uplink that it is handed is missing elsewhere."""
    (line,) = violations(small_instance(*USERS), plan_with(uplink_hz=[9e5, 2e5, 0.0, 0.0]))
    assert "uplink pool" in line


def test_cpu_too_fast() -> None:
    (line,) = violations(small_instance(*USERS), plan_with(cpu_hz=[7e9, 2.1e9, 8e9, 1.2e9]))
    assert 'users[1] "b": cpu_hz' in line
    assert "above its CPU's 2e+09" in line


def test_deadline() -> None:
    delay = evaluate(small_instance(*USERS), plan_with()).delay_s[2]
    (line,) = violations(instance_with(2, deadline_s=float(delay * (1 - 1e-8))), plan_with())
    assert 'users[2] "c": deadline_s' in line
    for limit in (delay, delay * (1 - 0.5e-9), delay * 1.1):
        assert violations(instance_with(2, deadline_s=float(limit)), plan_with()) == ()


@pytest.mark.parametrize("n", [0, 1], ids=["upload", "device"])
def test_energy(n: int) -> None:
    """User a's radio uploads, user b's CPU trains; either must keep energy_j."""
    energy = evaluate(small_instance(*USERS), plan_with()).energy_j[n]
    assert energy > 0
    (line,) = violations(instance_with(n, energy_j=float(energy * (1 - 1e-8))), plan_with())
    assert f"users[{n}] " in line
    assert "energy_j" in line
    assert violations(instance_with(n, energy_j=float(energy)), plan_with()) == ()


def test_energy_at_a_server_without_upload_is_zero() -> None:
    assert evaluate(small_instance(*USERS), plan_with()).energy_j[2] == 0
    assert violations(instance_with(2, energy_j=1e-9), plan_with()) == ()


def test_accuracy_floor() -> None:
    accuracy = evaluate(small_instance(*USERS), plan_with()).accuracy[0]
    (line,) = violations(instance_with(0, min_accuracy=float(accuracy + 1e-6)), plan_with())
    assert 'users[0] "a": min_accuracy' in line
    assert violations(instance_with(0, min_accuracy=float(accuracy)), plan_with()) == ()


def test_unreachable_server() -> None:
    """User d reaches edge-1 only, even if it would fetch nothing from edge-0."""
    (line,) = violations(small_instance(*USERS), plan_with(server=[0, 0, 1, 0]))
    assert line == 'users[3] "d": cannot reach server "edge-0"'


def test_unreachable_server_with_transfers() -> None:
    instance = instance_with(3, fresh_fraction=0.5)
    found = evaluate(instance, plan_with(server=[0, 0, 1, 0], downlink_hz=[1e6, 5e5, 2e6, 5e5]))
    assert found.violations == ('users[3] "d": cannot reach server "edge-0"',)
    assert found.delay_s[3] == np.inf


@pytest.mark.parametrize(
    ("column", "values", "n"),
    [
        ("uplink_hz", [0.0, 0.0, 0.0, 0.0], 0),
        ("downlink_hz", [0.0, 1e6, 2e6, 0.0], 0),
        ("downlink_hz", [1e6, 0.0, 2e6, 0.0], 1),
        ("cpu_hz", [0.0, 1.5e9, 8e9, 1.2e9], 0),
        ("cpu_hz", [7e9, 1.5e9, 8e9, 0.0], 3),
    ],
)
def test_zero_share(column: str, values: list[float], n: int) -> None:
    found = evaluate(small_instance(*USERS), plan_with(**{column: values}))
    assert found.objective == found.delay_s[n] == np.inf
    (line,) = found.violations
    assert f"users[{n}] " in line
    assert "has no share of a pool that it needs" in line


@pytest.mark.parametrize("share", [-1e5, np.nan])
@pytest.mark.parametrize("column", ["uplink_hz", "downlink_hz", "cpu_hz"])
def test_share_that_is_no_share(column: str, share: float) -> None:
    """Not even where it is not needed: a negative one would free what others overdraw."""
    values = getattr(plan_with(), column).tolist()
    values[3] = share
    found = violations(small_instance(*USERS), plan_with(**{column: values}))
    assert 'users[3] "d": has a share that is negative or not a number' in found


def test_several_violations_are_all_reported() -> None:
    users = [u.replace(deadline_s=1e-3, energy_j=1e-9, min_accuracy=0.8) for u in USERS]
    found = violations(small_instance(*users), plan_with(uplink_hz=[2e6, 0.0, 4e6, 0.0]))
    for word in ("deadline_s", "min_accuracy", "energy_j", "uplink pool"):
        assert any(word in line for line in found)
    assert sum("deadline_s" in line for line in found) == 4
    assert sum("energy_j" in line for line in found) == 3
    assert sum("overdrawn" in line for line in found) == 2


def test_of_very_many_violations_the_first_are_told() -> None:
    """Each of 1200 users breaks two limits; all are counted."""
    instance = do.generate_instance(1200)
    users = instance.users.replace(deadline_s=np.full(1200, 1e-9))
    plan = do.Plan.from_columns(
        model=np.zeros(1200, int),
        place=np.full(1200, DEVICE),
        server=np.zeros(1200, int),
        uplink_hz=np.zeros(1200),
        downlink_hz=np.full(1200, 1.0),
        cpu_hz=np.full(1200, 1e12),
    )
    found = violations(instance.replace(users=users), plan)
    assert len(found) == 2 * 1000 + 1
    assert "above its CPU's" in found[0]
    assert 'users[0] "u0": deadline_s' in found[1]
    assert found[-1] == "users: … and 200 more of them break a limit"


def allocated(users: int, servers: int, seed: int) -> tuple[Instance, do.Plan, Array]:
    """A random instance with limits, the plan of a random feasible choice and its delays."""
    rng = np.random.default_rng(seed)
    instance = do.generate_instance(users, servers, seed)
    options = do.build_options(instance)
    choice = random_choice(options, rng)
    constrained = constrain(options, choice, rng, 0.9, 1.5)
    limits = [
        {
            "deadline_s": None if np.isinf(d) else float(d),
            "energy_j": None if np.isinf(e) else float(e * u.tx_power_w),
        }
        for u, d, e in zip(
            instance.users,
            constrained.deadline_s[choice],
            constrained.uplink_limit_s[choice],
            strict=True,
        )
    ]
    held = tuple(u.replace(**new) for u, new in zip(instance.users, limits, strict=True))
    allocation = do.allocate(constrained, choice)
    plan = make_plan(constrained, choice, allocation.shares)
    return instance.replace(users=held), plan, allocation.delay


def test_allocations_are_feasible_and_their_delays_true() -> None:
    """`evaluate` finds no violation and the delays of `allocate` to 1e-12."""
    tried = 0
    for seed in range(40):
        try:
            instance, plan, delay = allocated(1 + seed % 9, 1 + seed % 3, seed)
        except do.ChoiceInfeasible:
            continue
        found = evaluate(instance, plan)
        assert found.violations == ()
        assert found.delay_s == pytest.approx(delay, rel=1e-12)
        tried += 1
    assert tried > 20

"""What limits leave out of the options, exactly, and who is named when nothing is left."""

from __future__ import annotations

import math

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.problem.options import DEVICE, Options, build_options, pool_delays
from tests.support.equations import figures
from tests.support.instances import small_instance, user


def identity(options: Options) -> set[tuple[int, ...]]:
    """The (user, model, place, server) of each option."""
    columns = (options.user, options.model, options.place, options.server)
    return set(zip(*(column.tolist() for column in columns), strict=True))


def kept(**limits: float) -> set[tuple[int, ...]]:
    """The options of the only user of a small instance under some limits."""
    return identity(build_options(small_instance(user("u", **limits))))


def test_accuracy_floor_excludes_exactly_what_is_below() -> None:
    """Accuracies at 400 samples: 0.76, 0.80 on the device; 0.786, 0.80 at the server."""
    options = build_options(small_instance(user("u")))
    for floor in (0.7, 0.77, 0.79, options.accuracy.max()):
        expected = {
            option
            for option, accuracy in zip(
                zip(options.user, options.model, options.place, options.server, strict=True),
                options.accuracy,
                strict=True,
            )
            if accuracy >= floor
        }
        assert kept(min_accuracy=float(floor)) == expected
    assert len(kept(min_accuracy=0.79)) < len(kept(min_accuracy=0.77)) < len(kept())


def test_upload_energy_excludes_exactly_the_servers_too_slow() -> None:
    """A budget that only the wider band of edge-1 keeps, then one that neither does."""
    free = small_instance(user("u"))
    minimum = [
        figures(free, 0, 0, "server", s, edge.uplink_hz, edge.downlink_hz, edge.cpu_hz).energy_j
        for s, edge in enumerate(free.servers)
    ]
    assert minimum[1] < minimum[0]
    devices = {option for option in kept() if option[2] == DEVICE}
    between = kept(energy_j=math.sqrt(minimum[0] * minimum[1]))
    assert between == devices | {option for option in kept() if option[3] == 1}
    assert kept(energy_j=minimum[1] * (1 - 1e-9)) == devices
    assert kept(energy_j=minimum[1] * (1 + 1e-9)) == between
    assert kept(energy_j=minimum[0] * (1 + 1e-9)) == kept()


def test_energy_slows_a_device_down_but_keeps_its_options() -> None:
    """√(0.001 J / (1e-28 · 8e7 cycles)) = 3.5e8 Hz, below the CPU's 1.2e9."""
    options = build_options(small_instance(user("u", energy_j=1e-3)))
    device = (options.place == DEVICE) & (options.model == 0)
    assert device.sum() == 2
    assert options.device_hz[device] == pytest.approx(math.sqrt(1e-3 / 8e-21), rel=1e-12)
    assert options.device_delay_s[device] == pytest.approx(8e7 / math.sqrt(1e-3 / 8e-21), rel=1e-12)
    assert (options.uplink_limit_s[device] == np.inf).all()


def test_deadline_excludes_exactly_what_is_late_with_whole_pools() -> None:
    options = build_options(small_instance(user("u")))
    pools = pool_delays(options, options.capacity[:, options.server])
    minimum = options.device_delay_s + pools.sum(axis=0)
    order = np.argsort(minimum)
    for k in range(len(options)):
        expected = identity(options.select_rows(np.sort(order[: k + 1])))
        assert kept(deadline_s=float(minimum[order[k]] * (1 + 1e-9))) == expected


def test_infeasible_error_names_user_and_limits() -> None:
    instance = small_instance(user("a"), user("slow", deadline_s=1e-4), user("c", min_accuracy=0.7))
    with pytest.raises(do.InfeasibleError, match="small has no feasible solution") as caught:
        build_options(instance)
    message = str(caught.value)
    assert 'users[1] "slow"' in message
    assert "deadline_s 0.0001" in message
    assert "energy_j" not in message
    assert "min_accuracy" not in message
    assert "users[0]" not in message
    assert "users[2]" not in message


def test_infeasible_error_names_limits_that_only_clash_together() -> None:
    """The accurate student misses the deadline, the quick one the floor."""
    instance = small_instance(user("u", samples=900, min_accuracy=0.84, deadline_s=0.6))
    with pytest.raises(do.InfeasibleError) as caught:
        build_options(instance)
    assert "min_accuracy 0.84" in str(caught.value)
    assert "deadline_s 0.6" in str(caught.value)
    build_options(small_instance(user("u", samples=900, min_accuracy=0.84)))
    build_options(small_instance(user("u", samples=900, deadline_s=0.6)))


def test_infeasible_error_counts_the_rest() -> None:
    users = [user(f"u{n}", deadline_s=1e-4) for n in range(13)]
    with pytest.raises(do.InfeasibleError, match="and 3 more users"):
        build_options(small_instance(*users))


def test_constrained() -> None:
    assert not build_options(small_instance(user("u"), user("v", min_accuracy=0.7))).constrained
    assert build_options(small_instance(user("u"), user("v", deadline_s=100.0))).constrained
    assert build_options(small_instance(user("u"), user("v", energy_j=100.0))).constrained

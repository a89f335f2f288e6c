"""The options against a plain double loop, its parts, and what limits leave out of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.problem.options import DEVICE, LOOSENESS, SERVER, Options, build_options, pool_delays
from dtkd_opt.records.instance import Instance, Place
from tests.support.equations import figures, interpolate
from tests.support.instances import small_instance, user
from tests.support.strategies import instances

LOOSE = 1 + LOOSENESS  # limits, so that rounding excludes nothing
PER_OPTION = [f.name for f in fields(Options) if f.name not in ("capacity", "start")]


@dataclass
class Row:
    """One option, by the equations of formulations/README.md; named as the table's columns."""

    user: int
    model: int
    place: int
    server: int
    accuracy: float
    error_cost_s: float
    device_delay_s: float
    device_hz: float
    uplink_bits: float
    uplink_snr_hz: float
    uplink_limit_s: float
    downlink_work: float
    server_cycles: float
    deadline_s: float


def plain_rows(instance: Instance) -> list[Row]:
    """Every option of a reachable server, limits or not, by user, place, server and model."""
    rows = []
    for n, u in enumerate(instance.users):
        reached = [s for s, gain in enumerate(u.channel_gain) if gain is not None]
        strongest = max(reached, key=lambda s: u.channel_gain[s])
        for place, name in ((DEVICE, "device"), (SERVER, "server")):
            needs_server = place == SERVER or u.fresh_fraction < 1
            for s in reached if needs_server else [strongest]:
                for m in range(len(instance.models)):
                    rows.append(plain_row(instance, n, m, place, name, s))
    return rows


def plain_row(instance: Instance, n: int, m: int, place: int, name: str, s: int) -> Row:
    u, edge, student, task = (
        instance.users[n], instance.servers[s], instance.models[m], instance.task
    )  # fmt: skip
    gain = u.channel_gain[s]
    training = task.epochs * u.samples * student.cycles_per_sample
    fresh = u.fresh_fraction * u.samples
    if place == DEVICE:
        energy_hz = (
            math.sqrt(u.energy_j / u.kappa / training) if u.energy_j and u.kappa else math.inf
        )
        device_hz = min(u.cpu_hz, energy_hz)
        download = (1 - u.fresh_fraction) * u.samples * task.bits_per_label
        own = (training / device_hz, device_hz, 0.0, math.inf, 0.0)
    else:
        download = student.bits
        limit = u.energy_j / u.tx_power_w if u.energy_j else math.inf
        cycles = fresh * task.teacher_cycles_per_sample + training
        own = (0.0, 0.0, fresh * task.bits_per_sample, limit, cycles)
    delay, hz, bits, limit, cycles = own
    snr = edge.tx_power_w * gain / (edge.noise_w_per_hz * edge.downlink_hz)
    accuracy = interpolate(student.accuracy, u.samples, name)
    return Row(
        user=n,
        model=m,
        place=place,
        server=s,
        accuracy=accuracy,
        error_cost_s=instance.seconds_per_error * (1 - accuracy),
        device_delay_s=delay,
        device_hz=hz,
        uplink_bits=bits,
        uplink_snr_hz=u.tx_power_w * gain / edge.noise_w_per_hz,
        uplink_limit_s=limit * LOOSE,
        downlink_work=download / (math.log1p(snr) / math.log(2)),
        server_cycles=cycles,
        deadline_s=(u.deadline_s or math.inf) * LOOSE,
    )


def violated_limits(instance: Instance, row: Row) -> set[str]:
    """The limits that an option breaks even with the server's whole pools."""
    u, edge = instance.users[row.user], instance.servers[row.server]
    name: Place = "server" if row.place == SERVER else "device"
    cpu_hz = edge.cpu_hz if row.place == SERVER else row.device_hz
    best = figures(
        instance, row.user, row.model, name, row.server, edge.uplink_hz, edge.downlink_hz, cpu_hz
    )
    broken = set()
    accuracy = instance.models[row.model].accuracy.at(u.samples, name)  # to the last bit
    if u.min_accuracy is not None and accuracy < u.min_accuracy - LOOSENESS:
        broken.add("min_accuracy")
    if u.energy_j is not None and best.energy_j > u.energy_j * LOOSE:
        broken.add("energy_j")
    if u.deadline_s is not None and best.delay_s > u.deadline_s * LOOSE:
        broken.add("deadline_s")
    return broken


def assert_options_are(options: Options, rows: list[Row]) -> None:
    """Same options in the same order, same numbers."""
    assert len(options) == len(rows)
    for name in PER_OPTION:
        wanted = [getattr(row, name) for row in rows]
        assert getattr(options, name) == pytest.approx(wanted, rel=1e-12, abs=1e-12), name


MIXED = small_instance(
    user("plain"),
    user("far", channel_gain=(None, 1e-13), fresh_fraction=0.0, samples=50),
    user("fresh", fresh_fraction=1.0, samples=2000, energy_j=0.3, channel_gain=(2e-12, 5e-12)),
    user("limits", samples=700, energy_j=0.4, deadline_s=30.0, min_accuracy=0.78),
)


def test_small_instance_by_hand() -> None:
    """One option of each place, worked out with pencil and paper."""
    options = build_options(small_instance(user("plain")))
    device = np.flatnonzero(
        (options.place == DEVICE) & (options.server == 0) & (options.model == 0)
    )[0]
    server = np.flatnonzero(
        (options.place == SERVER) & (options.server == 0) & (options.model == 0)
    )[0]
    efficiency = math.log2(1 + 20 * 1e-11 / (4e-21 * 2e6))
    accuracy = 0.7 + 0.1 * math.log10(4)
    assert options.device_delay_s[device] == pytest.approx(8e7 / 1.2e9, rel=1e-12)
    assert options.device_hz[device] == 1.2e9
    assert options.downlink_work[device] == pytest.approx(96_000 / efficiency, rel=1e-12)
    assert options.accuracy[device] == pytest.approx(accuracy, rel=1e-12)
    assert options.error_cost_s[device] == pytest.approx(300 * (1 - accuracy), rel=1e-12)
    assert options.needs[:, device].tolist() == [0.0, options.downlink_work[device], 0.0]
    assert options.uplink_bits[server] == 627_200
    assert options.uplink_snr_hz[server] == pytest.approx(5e8, rel=1e-12)
    assert options.downlink_work[server] == pytest.approx(1.6e6 / efficiency, rel=1e-12)
    assert options.server_cycles[server] == pytest.approx(7.5e9 + 8e7, rel=1e-12)
    assert options.device_delay_s[server] == options.device_hz[server] == 0
    assert options.capacity.tolist() == [[1e6, 3e6], [2e6, 2e6], [8e9, 8e9]]


def test_small_instance_against_the_loop() -> None:
    rows = [row for row in plain_rows(MIXED) if not violated_limits(MIXED, row)]
    assert len(rows) < len(plain_rows(MIXED))
    assert_options_are(build_options(MIXED), rows)


@settings(max_examples=60, deadline=None)
@given(instance=instances())
def test_random_instances_against_the_loop(instance: Instance) -> None:
    """Also that InfeasibleError is raised exactly when a user is left with nothing."""
    rows = [row for row in plain_rows(instance) if not violated_limits(instance, row)]
    without = set(range(len(instance.users))) - {row.user for row in rows}
    if without:
        with pytest.raises(do.InfeasibleError) as caught:
            build_options(instance)
        for n in without:
            assert f"users[{n}] " in str(caught.value)
    else:
        assert_options_are(build_options(instance), rows)


def test_start_bounds_each_users_options() -> None:
    options = build_options(MIXED)
    assert options.n_users == 4
    assert options.n_servers == 2
    assert options.start[0] == 0
    assert options.start[-1] == len(options)
    for n in range(options.n_users):
        assert (options.user[options.start[n] : options.start[n + 1]] == n).all()


def test_unreachable_servers_are_left_out() -> None:
    options = build_options(MIXED)
    assert set(options.server[options.user == 1].tolist()) == {1}
    assert set(options.server[options.user == 0].tolist()) == {0, 1}


def test_a_device_that_downloads_nothing_has_one_server() -> None:
    """All samples are fresh: no labels to fetch, so only the strongest server is kept."""
    free = small_instance(user("a"), user("b", fresh_fraction=1.0, channel_gain=(2e-12, 5e-12)))
    options = build_options(free)
    mine = options.user == 1
    device = mine & (options.place == DEVICE)
    assert options.server[device].tolist() == [1, 1]
    assert (options.needs[:, device] == 0).all()
    assert set(options.server[mine & (options.place == SERVER)].tolist()) == {0, 1}
    assert set(options.server[(options.user == 0) & (options.place == DEVICE)].tolist()) == {0, 1}


@given(data=st.data())
def test_selected_rows_keep_users(data: st.DataObject) -> None:
    """By mask or by indices: the same rows, users keep their numbers, also those left empty."""
    options = build_options(MIXED)
    flags = st.lists(st.booleans(), min_size=len(options), max_size=len(options))
    mask = np.array(data.draw(flags))
    taken = options.select_rows(mask)
    again = options.select_rows(np.flatnonzero(mask))
    assert taken.n_users == options.n_users
    for name in PER_OPTION:
        assert getattr(taken, name).tolist() == getattr(options, name)[mask].tolist()
        assert getattr(again, name).tolist() == getattr(taken, name).tolist()
    for n in range(options.n_users):
        mine = taken.user[taken.start[n] : taken.start[n + 1]]
        assert mine.tolist() == [n] * int((options.user[mask] == n).sum())
    assert again.start.tolist() == taken.start.tolist()
    assert taken.capacity is options.capacity


@settings(max_examples=30, deadline=None)
@given(instance=instances(limits=False), data=st.data())
def test_relabelling_users_permutes_the_options(instance: Instance, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(instance.users))))
    users = tuple(instance.users[n] for n in order)
    options, relabelled = (
        build_options(instance), build_options(instance.replace(users=users))
    )  # fmt: skip
    for new, old in enumerate(order):
        a = slice(options.start[old], options.start[old + 1])
        b = slice(relabelled.start[new], relabelled.start[new + 1])
        for name in PER_OPTION:
            if name != "user":
                assert getattr(options, name)[a].tolist() == getattr(relabelled, name)[b].tolist()


def test_pool_delays() -> None:
    """Against the equations, option by option, at uneven shares."""
    instance = small_instance(user("a"), user("b", fresh_fraction=0.0, samples=900))
    options = build_options(instance)
    shares = np.array([[3e5], [7e5], [2e9]]) * np.linspace(0.5, 1.5, len(options))
    delay = pool_delays(options, shares)
    for k in range(len(options)):
        on_server = options.place[k] == SERVER
        exact = figures(
            instance,
            int(options.user[k]),
            int(options.model[k]),
            "server" if on_server else "device",
            int(options.server[k]),
            float(shares[0, k]),
            float(shares[1, k]),
            float(shares[2, k]) if on_server else float(options.device_hz[k]),
        )
        compute = exact.compute_s if on_server else 0.0
        expected = [exact.upload_s, exact.download_s, compute]
        assert delay[:, k] == pytest.approx(expected, rel=1e-12)


def test_another_unit_of_time() -> None:
    """Counted in minutes, every delay is a sixtieth at the same shares."""
    options = build_options(MIXED)
    minutes = options.in_time_unit(60.0)
    shares = options.capacity[:, options.server] / 3
    assert pool_delays(minutes, shares) * 60 == pytest.approx(
        pool_delays(options, shares), rel=1e-14
    )
    for name in ("device_delay_s", "error_cost_s", "deadline_s", "uplink_limit_s"):
        assert getattr(minutes, name) * 60 == pytest.approx(getattr(options, name), rel=1e-14)
    assert minutes.capacity.tolist() == options.capacity.tolist()


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
    least = [
        figures(free, 0, 0, "server", s, edge.uplink_hz, edge.downlink_hz, edge.cpu_hz).energy_j
        for s, edge in enumerate(free.servers)
    ]
    assert least[1] < least[0]
    devices = {option for option in kept() if option[2] == DEVICE}
    between = kept(energy_j=math.sqrt(least[0] * least[1]))
    assert between == devices | {option for option in kept() if option[3] == 1}
    assert kept(energy_j=least[1] * (1 - 1e-9)) == devices
    assert kept(energy_j=least[1] * (1 + 1e-9)) == between
    assert kept(energy_j=least[0] * (1 + 1e-9)) == kept()


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
    least = options.device_delay_s + pools.sum(axis=0)
    order = np.argsort(least)
    for k in range(len(options)):
        expected = identity(options.select_rows(np.sort(order[: k + 1])))
        assert kept(deadline_s=float(least[order[k]] * (1 + 1e-9))) == expected


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


def test_options_are_shown_in_one_line() -> None:
    assert repr(do.build_options(do.generate_instance(2))) == "<Options: 24 of 2 users at 1 server>"


def test_constrained() -> None:
    assert not build_options(small_instance(user("u"), user("v", min_accuracy=0.7))).constrained
    assert build_options(small_instance(user("u"), user("v", deadline_s=100.0))).constrained
    assert build_options(small_instance(user("u"), user("v", energy_j=100.0))).constrained

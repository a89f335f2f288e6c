"""The option table: for each user each admissible (model, place, server), as flat arrays.

A method needs no more of the problem than this table. Options that break a limit whatever the
others do (accuracy floor, energy budget, a deadline missed even with the whole pools) are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from dtkd_opt import physics
from dtkd_opt.errors import InfeasibleError, printable
from dtkd_opt.instance import DEVICE, PLACES, SERVER, Instance
from dtkd_opt.physics import Array, Index


@dataclass(frozen=True, eq=False)
class OptionTable:
    """Flat arrays over the K options, sorted by user; all of shape (K,) unless said otherwise."""

    user: Index
    model: Index
    place: Index  # DEVICE or SERVER
    server: Index
    accuracy: Array
    error_cost_s: Array  # ρ (1 - a)
    device_delay_s: Array  # E_p D c_m / f on the device, else 0
    device_hz: Array  # the device's frequency, else 0
    uplink_bits: Array
    uplink_snr_hz: Array  # γ
    uplink_limit_s: Array  # longest upload within the energy budget, inf without
    downlink_work: Array  # bits over spectral efficiency [Hz s]
    server_cycles: Array
    deadline_s: Array  # inf without
    capacity: Array  # (3, S): uplink [Hz], downlink [Hz], CPU [cycles/s]
    start: Index  # (N + 1,): options of user n are start[n]:start[n + 1]

    @property
    def n_users(self) -> int:
        return len(self.start) - 1

    @property
    def n_servers(self) -> int:
        return int(self.capacity.shape[1])

    def __len__(self) -> int:
        return len(self.user)

    @property
    def needs(self) -> Array:
        """What each option asks of its server's pools, (3, K): bits, Hz s, cycles."""
        return np.array([self.uplink_bits, self.downlink_work, self.server_cycles])

    @property
    def constrained(self) -> bool:
        """Whether any option has a deadline or an upload limit."""
        return bool(np.isfinite(self.deadline_s).any() or np.isfinite(self.uplink_limit_s).any())

    def take(self, rows: Index | NDArray[np.bool_]) -> OptionTable:
        """The table of some options only (a mask or sorted indices); users keep their numbers."""
        flat = {
            f.name: getattr(self, f.name)[rows]
            for f in fields(self)
            if f.name not in ("capacity", "start")
        }
        start = np.searchsorted(flat["user"], np.arange(self.n_users + 1))
        return replace(self, **flat, start=start)

    def in_unit(self, seconds: float) -> OptionTable:
        """The same table with time counted in units of `seconds`; shares keep their meaning.

        Delays are need / speed, so that the needs shrink with the unit too.
        """
        timed = (
            "error_cost_s",
            "device_delay_s",
            "uplink_bits",
            "uplink_limit_s",
            "downlink_work",
            "server_cycles",
            "deadline_s",
        )
        return replace(self, **{name: getattr(self, name) / seconds for name in timed})


def build_options(instance: Instance) -> OptionTable:
    """All admissible options of an instance.

    Raises
    ------
    InfeasibleError
        When a user has no admissible option; the message names the user and the limits.
    """
    full = _all_options(instance)
    reasons = _broken_limits(full, instance)
    admissible = ~np.logical_or.reduce([broken for _, broken in reasons])
    table = full.take(admissible)
    empty = np.flatnonzero(np.diff(table.start) == 0)
    if len(empty):
        raise InfeasibleError(_why_empty(full, reasons, empty, instance))
    return table


def _all_options(instance: Instance) -> OptionTable:
    """Every reachable (user, model, place, server), sorted by user, place, server, model."""
    columns = _Columns(instance)
    user, place, server, model = columns.grid()
    task, rho = instance.task, instance.seconds_per_error
    n, s = columns.users, columns.servers
    samples, fresh = n["samples"][user], n["fresh_fraction"][user]
    training = physics.training_cycles(samples, task.epochs, columns.cycles[model])
    on_server = place == SERVER
    device_hz = np.where(
        on_server,
        0.0,
        physics.device_frequency(
            training, n["cpu_hz"][user], n["kappa"][user], n["energy_j"][user]
        ),
    )
    gain = columns.gain[user, server]
    efficiency = physics.downlink_efficiency(
        s["tx_power_w"][server], gain, s["noise_w_per_hz"][server], s["downlink_hz"][server]
    )
    download = np.where(
        on_server,
        columns.bits[model],
        physics.label_bits(samples, fresh, task.bits_per_label),
    )
    labelling = physics.labelling_cycles(samples, fresh, task.teacher_cycles_per_sample)
    accuracy = columns.accuracy[user, model, place]
    return OptionTable(
        user=user,
        model=model,
        place=place,
        server=server,
        accuracy=accuracy,
        error_cost_s=rho * (1 - accuracy),
        device_delay_s=np.where(on_server, 0.0, physics.compute_delay(training, device_hz)),
        device_hz=device_hz,
        uplink_bits=np.where(
            on_server, physics.fresh_bits(samples, fresh, task.bits_per_sample), 0.0
        ),
        uplink_snr_hz=physics.uplink_snr_hz(
            n["tx_power_w"][user], gain, s["noise_w_per_hz"][server]
        ),
        uplink_limit_s=np.where(on_server, n["energy_j"][user] / n["tx_power_w"][user], np.inf),
        downlink_work=download / efficiency,
        server_cycles=np.where(on_server, labelling + training, 0.0),
        deadline_s=n["deadline_s"][user],
        capacity=np.array([s["uplink_hz"], s["downlink_hz"], s["cpu_hz"]]),
        start=np.searchsorted(user, np.arange(len(instance.users) + 1)),
    )


class _Columns:
    """The instance's records as arrays; null limits become inf, unreachable gains NaN."""

    def __init__(self, instance: Instance):
        self.instance = instance
        names = ("samples", "fresh_fraction", "cpu_hz", "tx_power_w", "kappa")
        self.users = {name: _column(instance.users, name) for name in names}
        for name in ("energy_j", "deadline_s"):
            self.users[name] = _column(instance.users, name, null=np.inf)
        names = ("uplink_hz", "downlink_hz", "cpu_hz", "tx_power_w", "noise_w_per_hz")
        self.servers = {name: _column(instance.servers, name) for name in names}
        self.cycles = np.array([m.cycles_per_sample for m in instance.models], float)
        self.bits = np.array([m.bits for m in instance.models], float)
        gains = [u.channel_gain for u in instance.users]
        self.gain = np.array([[np.nan if g is None else g for g in row] for row in gains])
        self.accuracy = np.array(  # (N, M, 2)
            [
                [[m.accuracy.at(u.samples, p) for p in PLACES] for m in instance.models]
                for u in instance.users
            ]
        )

    def grid(self) -> tuple[Index, Index, Index, Index]:
        """Index arrays (user, place, server, model) of all reachable options.

        A device that downloads nothing needs no server: it keeps its best one, since the same
        option once per server would only add symmetry.
        """
        users, servers = np.nonzero(~np.isnan(self.gain))
        silent = (self.users["fresh_fraction"] == 1)[users]
        best = np.nanargmax(self.gain, axis=1)[users] == servers
        n_models = len(self.instance.models)
        rows = np.concatenate([np.flatnonzero(~silent | best), np.arange(len(users))])
        place = np.repeat([DEVICE, SERVER], [len(rows) - len(users), len(users)])
        order = np.lexsort((servers[rows], place, users[rows]))
        rows, place = rows[order], place[order]
        model = np.tile(np.arange(n_models), len(rows))
        return (
            np.repeat(users[rows], n_models),
            np.repeat(place, n_models),
            np.repeat(servers[rows], n_models),
            model,
        )


def _column(
    records: tuple[User, ...] | tuple[Server, ...], name: str, null: float = np.nan
) -> Array:
    values = (getattr(record, name) for record in records)
    return np.array([null if value is None else value for value in values], float)


def pool_delays(table: OptionTable, shares: Array) -> Array:
    """(3, K) delay [s] of each option in its pools, with given (3, K) shares."""
    rate = physics.uplink_rate(shares[0], table.uplink_snr_hz)
    return np.array(
        [
            physics.transfer_delay(table.uplink_bits, rate),
            physics.transfer_delay(table.downlink_work, shares[1]),
            physics.compute_delay(table.server_cycles, shares[2]),
        ]
    )


def _broken_limits(table: OptionTable, instance: Instance) -> list[tuple[str, NDArray[np.bool_]]]:
    """For each kind of limit, which options break it even with the whole pools."""
    floor = _column(instance.users, "min_accuracy", null=-np.inf)[table.user]
    pools = pool_delays(table, table.capacity[:, table.server])
    delay = table.device_delay_s + pools.sum(axis=0)
    return [
        ("min_accuracy", table.accuracy < floor),
        ("energy_j", pools[0] > table.uplink_limit_s),
        ("deadline_s", delay > table.deadline_s),
    ]


def _why_empty(
    table: OptionTable,
    reasons: list[tuple[str, NDArray[np.bool_]]],
    empty: Index,
    instance: Instance,
) -> str:
    lines = []
    for n in empty[:10]:
        mine = slice(table.start[n], table.start[n + 1])
        limits = [name for name, broken in reasons if broken[mine].any()]
        values = ", ".join(f"{name} {getattr(instance.users[n], name):g}" for name in limits)
        own = table.take(np.arange(table.start[n], table.start[n + 1]))
        pools = pool_delays(own, own.capacity[:, own.server])
        best = float((own.device_delay_s + pools.sum(axis=0)).min())
        lines.append(
            f'users[{n}] "{printable(instance.users[n].name)}": no model, place and server keeps '
            f"its limits ({values}); its least delay with all pools to itself is {best:.4g} s"
        )
    if len(empty) > 10:
        lines.append(f"… and {len(empty) - 10} more users without an option")
    return f"{printable(instance.name)} has no feasible solution:\n" + "\n".join(lines)

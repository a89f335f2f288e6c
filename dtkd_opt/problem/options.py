"""The options: for each user each admissible (model, place, server), as flat arrays.

A method needs nothing else of the problem. Options that break a limit whatever the other users do
(accuracy floor, energy budget, a deadline missed even with the whole pools) are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from dtkd_opt.errors import InfeasibleError, UsageError, printable
from dtkd_opt.problem import physics
from dtkd_opt.problem.demands import Demands, pool_capacity
from dtkd_opt.records.arguments import as_kind
from dtkd_opt.records.arrays import Array, Index, Mask
from dtkd_opt.records.instance import DEVICE, SERVER, Instance, as_instance
from dtkd_opt.records.validation import counted

_BLOCK = 2**15  # options computed together
# Limits are held this much looser, relative: a tenth of what plans may be off, and far beyond any
# rounding. So bounds are valid, and a plan exactly at its limits has room.
LOOSENESS = 1e-10
ACCURACY_ERROR = 1e-15  # of an accuracy, by rounding: what of an error of 1e-12 would count
_NEEDS = ("uplink_bits", "downlink_work", "server_cycles")  # of the pools


@dataclass(frozen=True, eq=False, repr=False)
class Options:
    """Flat arrays over the K options, sorted by user; all of shape (K,) unless said otherwise."""

    user: Index  # its number, rising
    model: Index  # number of the student model
    place: Index  # DEVICE (0) or SERVER (1)
    server: Index  # its number
    accuracy: Array  # a_m^place(D) of the student
    error_cost_s: Array  # ρ (1 - a)
    device_delay_s: Array  # E_p D c_m / f on the device, else 0
    device_hz: Array  # the device's frequency, else 0
    uplink_bits: Array  # to the server [bit]
    uplink_snr_hz: Array  # γ
    uplink_limit_s: Array  # longest upload within the energy budget, inf without
    downlink_work: Array  # bits over spectral efficiency [Hz s]
    server_cycles: Array  # at the server [cycles]
    deadline_s: Array  # inf without
    capacity: Array  # (3, S): uplink [Hz], downlink [Hz], CPU [cycles/s]
    start: Index  # (N + 1,): options of user n are start[n]:start[n + 1]

    @property
    def n_users(self) -> int:
        """N."""
        return len(self.start) - 1

    @property
    def n_servers(self) -> int:
        """S."""
        return int(self.capacity.shape[1])

    def __repr__(self) -> str:
        users, servers = counted(self.n_users, "users"), counted(self.n_servers, "servers")
        return f"<Options: {len(self)} of {users} at {servers}>"

    def __len__(self) -> int:
        return len(self.user)

    @property
    def needs(self) -> Array:
        """(3, K) what each option asks of its server's pools [bit, Hz s, cycles]."""
        return np.array([getattr(self, name) for name in _NEEDS])

    @property
    def constrained_rows(self) -> Mask:
        """(K,) which options have a deadline or an upload limit."""
        return np.isfinite(self.deadline_s) | np.isfinite(self.uplink_limit_s)

    @property
    def constrained(self) -> bool:
        """Whether any option has a deadline or an upload limit."""
        return bool(self.constrained_rows.any())

    def select_rows(self, rows: Index | Mask) -> Options:
        """Some of the options (a mask or sorted indices); users keep their numbers."""
        flat = {name: getattr(self, name)[rows] for name in ("user", *_COLUMNS)}
        start = np.searchsorted(flat["user"], np.arange(self.n_users + 1))
        return replace(self, **flat, start=start)

    def slice_users(self, users: slice) -> Options:
        """The options of consecutive users, numbered from 0: views, no copies but the numbers."""
        first, last = self.start[users.start], self.start[users.stop]
        flat = {name: getattr(self, name)[first:last] for name in _COLUMNS}
        number = self.user[first:last] - users.start
        start = self.start[users.start : users.stop + 1] - first
        return replace(self, **flat, user=number, start=start)

    def select_users(self, users: Index) -> Options:
        """The options of some users (sorted), numbered from 0, with the pools as they are."""
        if len(users) and users[-1] - users[0] == len(users) - 1:  # all between: without copies
            return self.slice_users(slice(int(users[0]), int(users[-1]) + 1))
        rows, start = self.user_rows(users)
        number = np.repeat(np.arange(len(users)), np.diff(start))
        flat = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return replace(self, **flat, user=number, start=start)

    def user_rows(self, users: Index) -> tuple[Index, Index]:
        """(K',) rows of M users' options, one user after the other, and (M + 1,) their starts."""
        sizes = np.diff(self.start)[users]
        start = np.append(0, np.cumsum(sizes))
        return np.arange(start[-1]) + np.repeat(self.start[users] - start[:-1], sizes), start

    def subsample(self, every: int) -> Options:
        """The options of about one user in `every`, drawn at random, with pools in proportion.

        A fixed stride could meet a pattern of the users, such as who is attached to which server.
        """
        size = -(-self.n_users // every)
        users = np.sort(np.random.default_rng(0).choice(self.n_users, size, replace=False))
        return replace(self.select_users(users), capacity=self.capacity * (size / self.n_users))

    def in_time_unit(self, seconds: float) -> Options:
        """The same options with time in units of `seconds`; shares keep their meaning.

        Delays are need / speed, so that the needs shrink with the unit too.
        """
        timed = [name for name in _COLUMNS if name.endswith("_s")] + [*_NEEDS]
        return replace(self, **{name: getattr(self, name) / seconds for name in timed})


_COLUMNS = [f.name for f in fields(Options) if f.name not in ("user", "capacity", "start")]


def as_options(given: Options, instance: Instance | None = None) -> Options:
    """The options themselves; UsageError where they are none, or not of the instance's size."""
    words = "options must be the instance's: build_options(instance)"
    as_kind(Options, given, words)
    if instance is not None:
        sizes = len(instance.users), len(instance.servers)
        if (given.n_users, given.n_servers) != sizes:
            raise UsageError(f"{words}, got those of another")
    return given


def build_options(instance: Instance) -> Options:
    """All admissible options of an instance.

    Parameters
    ----------
    instance
        The problem.

    Returns
    -------
    Options
        Those that no limit rules out by itself, sorted by user.

    Raises
    ------
    InfeasibleError
        When a user has no admissible option; the message names the user and the limits.
    """
    full = _all_options(as_instance(instance))
    limits = _violated_limits(full, instance)
    violated = np.logical_or.reduce([mask for _, mask in limits])
    if not violated.any():
        return full
    kept = np.add.reduceat(~violated, full.start[:-1], dtype=np.int64)
    if not kept.all():
        raise InfeasibleError(
            _explain_infeasible(full, limits, np.flatnonzero(kept == 0), instance)
        )
    columns = {f.name: getattr(full, f.name) for f in fields(full)}
    del full  # each column goes as its shorter copy comes: never two whole tables in memory
    for name in columns.keys() - {"capacity", "start"}:
        columns[name] = columns[name][~violated]
    columns["start"] = np.concatenate([[0], np.cumsum(kept)])
    return Options(**columns)


def _all_demands(instance: Instance) -> Demands:
    """Every reachable (user, model, place, server), sorted by user, place, server, model.

    A device that downloads nothing needs no server: it keeps its best one, since the same option
    once per server would only add symmetry.
    """
    gain, n_models = instance.users.channel_gain, len(instance.models)
    users, servers = np.nonzero(~np.isnan(gain))
    without_download = (instance.users.fresh_fraction == 1)[users]
    best = np.nanargmax(gain, axis=1)[users] == servers
    rows = np.concatenate([np.flatnonzero(~without_download | best), np.arange(len(users))])
    place = np.repeat([DEVICE, SERVER], [len(rows) - len(users), len(users)])
    order = np.lexsort((servers[rows], place, users[rows]))
    rows, place = rows[order], place[order]
    return Demands(
        instance,
        user=np.repeat(users[rows], n_models),
        model=np.tile(np.arange(n_models), len(rows)),
        place=np.repeat(place, n_models),
        server=np.repeat(servers[rows], n_models),
    )


def _all_options(instance: Instance) -> Options:
    """Every reachable option, admissible or not."""
    demands = _all_demands(instance)
    return Options(
        user=demands.user,
        model=demands.model,
        place=demands.place,
        server=demands.server,
        **_by_blocks(demands),
        capacity=pool_capacity(instance),
        start=np.searchsorted(demands.user, np.arange(len(instance.users) + 1)),
    )


def _by_blocks(demands: Demands) -> dict[str, Array]:
    """The numeric columns of all options, block after block: intermediate arrays stay in cache."""
    size = len(demands.user)
    if size <= _BLOCK:
        return _numeric_columns(demands)
    names = _numeric_columns(demands.select(slice(0, 0)))
    columns = {name: np.empty(size) for name in names}
    for rows in _blocks(size):
        for name, values in _numeric_columns(demands.select(rows)).items():
            columns[name][rows] = values
    return columns


def _blocks(size: int) -> Iterator[slice]:
    for first in range(0, size, _BLOCK):
        yield slice(first, first + _BLOCK)


def _numeric_columns(demands: Demands) -> dict[str, Array]:
    """The columns of the options that do not name a choice, (K,) each."""
    accuracy, device_hz = demands.accuracy(), demands.device_hz()
    return {
        "accuracy": accuracy,
        "error_cost_s": demands.instance.seconds_per_error
        * np.maximum(1 - accuracy - ACCURACY_ERROR, 0.0),
        "device_delay_s": demands.device_delay_s(device_hz),
        "device_hz": device_hz,
        "uplink_bits": demands.upload_bits(),
        "uplink_snr_hz": demands.uplink_snr_hz(),
        "uplink_limit_s": demands.uplink_limit_s() * (1 + LOOSENESS),
        "downlink_work": demands.downlink_work(),
        "server_cycles": demands.server_cycles(),
        "deadline_s": demands.of_user("deadline_s") * (1 + LOOSENESS),
    }


def pool_delays(options: Options, shares: Array, rows: slice = slice(None)) -> Array:
    """(3, K) delay [s] of each option (or of some rows) in its pools, with given (3, K) shares."""
    rate = physics.uplink_rate(shares[0], options.uplink_snr_hz[rows])
    return np.array(
        [
            physics.transfer_delay(options.uplink_bits[rows], rate),
            physics.transfer_delay(options.downlink_work[rows], shares[1]),
            physics.compute_delay(options.server_cycles[rows], shares[2]),
        ]
    )


def _violated_limits(options: Options, instance: Instance) -> list[tuple[str, Mask]]:
    """For each kind of limit, which options break it even with the whole pools."""
    floor = instance.users.min_accuracy[options.user] - LOOSENESS
    energy, late = np.zeros(len(options), bool), np.zeros(len(options), bool)
    for rows in _blocks(len(options) if options.constrained else 0):
        pools = pool_delays(options, options.capacity[:, options.server[rows]], rows)
        energy[rows] = pools[0] > options.uplink_limit_s[rows]
        late[rows] = options.device_delay_s[rows] + pools.sum(axis=0) > options.deadline_s[rows]
    return [("min_accuracy", options.accuracy < floor), ("energy_j", energy), ("deadline_s", late)]


def _explain_infeasible(
    options: Options,
    violated_limits: list[tuple[str, Mask]],
    empty: Index,
    instance: Instance,
) -> str:
    """One line for each user without an option, of many the first: limits and minimum delay."""
    lines = []
    for n in empty[:10]:
        rows = np.arange(options.start[n], options.start[n + 1])
        limits = [name for name, violated in violated_limits if violated[rows].any()]
        values = ", ".join(f"{name} {getattr(instance.users[n], name):g}" for name in limits)
        own = options.select_rows(rows)
        pools = pool_delays(own, own.capacity[:, own.server])
        best = float((own.device_delay_s + pools.sum(axis=0)).min())
        lines.append(
            f'users[{n}] "{printable(instance.users[n].name)}": no model, place and server keeps '
            f"its limits ({values}); its minimum delay with all pools to itself is {best:.4g} s"
        )
    if len(empty) > 10:
        lines.append(f"… and {len(empty) - 10} more users without an option")
    return f"{printable(instance.name)} has no feasible solution:\n" + "\n".join(lines)

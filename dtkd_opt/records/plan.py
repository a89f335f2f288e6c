"""Plans: what every user does, as numbers to compute with and under names as files hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.records.arguments import as_kind
from dtkd_opt.records.arrays import Array, Index, as_numbers, as_positions
from dtkd_opt.records.columns import Columns
from dtkd_opt.records.fields import Name, NonNegative, Record
from dtkd_opt.records.instance import PLACES, SERVER, Instance, Place, as_instance
from dtkd_opt.records.packing import Column, Texts

MAX_FLOAT = float(np.finfo(float).max)
_ANY_AMOUNT = Column("number", 0, MAX_FLOAT)


@dataclass(frozen=True, eq=False)
class Plan:
    """What every user does; all arrays of shape (N,), in the instance's order."""

    model: Index  # number of the student model
    place: Index  # DEVICE (0) or SERVER (1)
    server: Index  # number of the server
    uplink_hz: Array  # share of the server's uplink band [Hz]
    downlink_hz: Array  # share of its downlink band [Hz]
    cpu_hz: Array  # share of the server's CPU [cycles/s], 0 on the device
    device_hz: Array  # frequency of the device's CPU [cycles/s], 0 at the server

    @classmethod
    def from_columns(
        cls,
        model: Index,
        place: Index,
        server: Index,
        uplink_hz: Array,
        downlink_hz: Array,
        cpu_hz: Array,
    ) -> Self:
        """A plan from columns with one `cpu_hz` for the server's share and the device's frequency,
        as files have it; all of shape (N,)."""
        places = as_positions(place, "plan.place", len(PLACES), None)
        given = as_numbers(cpu_hz, "plan.cpu_hz", len(places))
        at_server = places == SERVER
        return cls(
            model=model,
            place=places,
            server=server,
            uplink_hz=uplink_hz,
            downlink_hz=downlink_hz,
            cpu_hz=np.where(at_server, given, 0.0),
            device_hz=np.where(at_server, 0.0, given),
        )

    def of_size(self, instance: Instance) -> Plan:
        """The plan with its columns as arrays of an instance's users, models and servers.

        InputError where a column is of another kind or length, or names what there is not.
        """
        size = len(instance.users)
        kinds = {"model": instance.models, "place": PLACES, "server": instance.servers}
        columns: dict[str, Any] = {
            key: as_positions(getattr(self, key), f"plan.{key}", len(items), size)
            for key, items in kinds.items()
        }
        for key in ("uplink_hz", "downlink_hz", "cpu_hz", "device_hz"):
            columns[key] = as_numbers(getattr(self, key), f"plan.{key}", size)
        return Plan(**columns)

    @property
    def compute_hz(self) -> Array:
        """(N,) cycles/s that train a user's student, wherever that is: the files' `cpu_hz`."""
        return np.where(self.place == SERVER, self.cpu_hz, self.device_hz)

    def to_columns(self, instance: Instance) -> dict[str, NDArray[Any]]:
        """(N,) each, the columns of :class:`PlanRows`: with names instead of numbers."""
        as_instance(instance)
        return {
            "name": instance.users.name,
            "model": _names(instance.models)[self.model],
            "place": _names(PLACES)[self.place],
            "server": _names(instance.servers)[self.server],
            "uplink_hz": self.uplink_hz,
            "downlink_hz": self.downlink_hz,
            "cpu_hz": self.compute_hz,
        }


class PlanRow(Record):
    """What one user does: the option it takes and its shares of the pools."""

    name: Name  # of the user
    model: Name  # name of its student model
    place: Place  # "device" or "server": where it is trained
    server: Name  # name of the server
    uplink_hz: NonNegative  # share of the server's uplink band [Hz]
    downlink_hz: NonNegative  # share of its downlink band [Hz]
    cpu_hz: NonNegative  # share of the server's CPU, or frequency of the device's [cycles/s]


P = TypeVar("P", bound=PlanRow)


class PlanColumns(Columns[P]):
    """What all users do under names, as read-only columns of shape (N,)."""

    __slots__ = ()
    keys: ClassVar[Mapping[str, Column]] = {
        "name": Column("text"),
        "model": Column("text"),
        "place": Column("text", allowed=PLACES),
        "server": Column("text"),
        "uplink_hz": _ANY_AMOUNT,
        "downlink_hz": _ANY_AMOUNT,
        "cpu_hz": _ANY_AMOUNT,
    }

    def to_plan(self, instance: Instance) -> Plan:
        """The plan by numbers; -1 for a model or server that the instance does not have."""
        as_instance(instance)
        return Plan.from_columns(
            model=_numbers(self.model, instance.models),
            place=_numbers(self.place, PLACES),
            server=_numbers(self.server, instance.servers),
            uplink_hz=self.uplink_hz,
            downlink_hz=self.downlink_hz,
            cpu_hz=self.cpu_hz,
        )


class PlanRows(PlanColumns[PlanRow]):
    """A plan under names and nothing else, as certificates hold it."""

    __slots__ = ()
    record = PlanRow
    file_key = "incumbent"

    @classmethod
    def from_plan(cls, instance: Instance, plan: Plan) -> Self:
        """The plan under the instance's names."""
        plan = as_kind(Plan, plan, "plan must be a Plan").of_size(as_instance(instance))
        return cls.from_columns(**plan.to_columns(instance))


def _names(items: Sequence[Any]) -> Texts:
    return np.array([item if isinstance(item, str) else item.name for item in items], object)


def _numbers(names: Texts, items: Sequence[Any]) -> Index:
    """(N,) the position of each name among the items, -1 where it is not."""
    number = {name: i for i, name in enumerate(_names(items))}
    return np.fromiter(map(number.get, names, repeat(-1)), np.int64, len(names))

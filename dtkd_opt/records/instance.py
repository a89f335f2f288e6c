"""Instance records: frozen, validated, in SI units and linear (not dB) values.

The file format is documented in instances/README.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, PrivateAttr, model_validator

from dtkd_opt.errors import KEPT_FAULTS, InputError, printable
from dtkd_opt.records.accuracy import PLACES as PLACES
from dtkd_opt.records.accuracy import AccuracyTable as AccuracyTable
from dtkd_opt.records.accuracy import Place as Place
from dtkd_opt.records.accuracy import best_accuracy
from dtkd_opt.records.arguments import as_file, as_kind
from dtkd_opt.records.arrays import Array, Index, Mask
from dtkd_opt.records.elements import Model as Model
from dtkd_opt.records.elements import Server as Server
from dtkd_opt.records.elements import Task as Task
from dtkd_opt.records.fields import LARGEST as LARGEST
from dtkd_opt.records.fields import SMALLEST as SMALLEST
from dtkd_opt.records.fields import Amount, Name, Record, Text, init_signature, raise_faults
from dtkd_opt.records.files import read_unpacked, sha256
from dtkd_opt.records.json_text import parse_json, to_json
from dtkd_opt.records.parquet import (
    PARQUET_MIN_USERS,
    Storage,
    parquet_path,
    read_parquet,
    referenced_parquet,
    write_with_parquet,
)
from dtkd_opt.records.streams import source_name
from dtkd_opt.records.users import User as User
from dtkd_opt.records.users import Users
from dtkd_opt.records.validation import counted, validate

FORMAT: Literal["dtkd-opt/instance/1"] = "dtkd-opt/instance/1"

DEVICE, SERVER = range(2)  # places by number
POOLS = ("uplink", "downlink", "CPU")  # of a server


class Instance(Record):
    """A whole problem. Build it in Python or read it with :func:`read_instance`.

    Parameters
    ----------
    name
        What it is called.
    description
        A text for readers, or None.
    seconds_per_error
        ρ, the weight of the error against the delay [s].
    task
        What is trained.
    servers
        Where, beside the devices: one or more.
    models
        The students to choose from: one or more.
    users
        One :class:`User` each, or :class:`Users` columns.
    """

    format: Literal["dtkd-opt/instance/1"] = FORMAT  # of its file
    name: Name
    description: Text | None = None
    seconds_per_error: Amount
    task: Task
    servers: Annotated[tuple[Server, ...], Field(min_length=1)]
    models: Annotated[tuple[Model, ...], Field(min_length=1)]
    users: Annotated[Users, Field(min_length=1)]

    _sha256: str | None = PrivateAttr(default=None)

    @init_signature
    def __init__(
        self,
        name: str,
        *,
        seconds_per_error: float,
        task: Task,
        servers: Sequence[Server],
        models: Sequence[Model],
        users: Sequence[User],
        description: str | None = None,
    ) -> None: ...

    @model_validator(mode="after")
    def _check(self) -> Instance:
        faults = (*self._name_faults(), *self._user_faults())
        raise_faults(faults[:KEPT_FAULTS])
        return self

    def _name_faults(self) -> Iterator[str]:
        names = {
            kind: [item.name for item in getattr(self, kind)] for kind in ("servers", "models")
        }
        for kind, column in {**names, "users": self.users.name.tolist()}.items():
            if len(set(column)) < len(column):
                yield from islice(_repeated(kind, column), KEPT_FAULTS)

    def _user_faults(self) -> Iterator[str]:
        widths, unreachable = _gains(self.users)
        wrong = widths != len(self.servers)
        best = self._best_accuracy()
        low = best < self.users.min_accuracy
        for i in np.flatnonzero(wrong | unreachable | low)[:KEPT_FAULTS].tolist():
            if wrong[i]:
                yield (
                    f"users[{i}].channel_gain: must have one entry per server "
                    f"({len(self.servers)}), got {widths[i]}"
                )
            elif unreachable[i]:
                yield f"users[{i}].channel_gain: must reach at least one server, all are null"
            if low[i]:
                yield (
                    f"users[{i}].min_accuracy: must be at most {_rounded_down(best[i]):g}, the "
                    f"best that any model reaches with {self.users.samples[i]} samples, "
                    f"got {self.users.min_accuracy[i]:.15g}"
                )

    def _best_accuracy(self) -> Array:
        """(N,) the best that any model reaches with a user's samples; inf without a floor."""
        best = np.full(len(self.users), np.inf)
        with_floor = np.flatnonzero(self.users.min_accuracy > -np.inf)
        samples = self.users.samples[with_floor]
        best[with_floor] = best_accuracy([m.accuracy for m in self.models], samples)
        return best

    @property
    def sha256(self) -> str:
        """SHA-256 that tells this instance from others.

        Of one read from JSON: of the file. Of one read with a Parquet file, or made in Python with
        100,000 users or more: of its contents (:meth:`hash_contents`), which are the same before
        and after writing. Of a smaller one made in Python: of :meth:`to_bytes`.
        """
        if self._sha256 is not None:
            return self._sha256
        large = len(self.users) >= PARQUET_MIN_USERS
        return self.hash_contents() if large else sha256(self.to_bytes())

    def has_hash(self, digest: str) -> bool:
        """Whether a hash is this instance's, in whichever form it was read or made."""
        if digest == self.sha256 or digest == self.hash_contents():
            return True
        return len(self.users) < PARQUET_MIN_USERS and digest == sha256(self.to_bytes())

    def hash_contents(self) -> str:
        """SHA-256 of the contents, whatever the form: all but the users as :meth:`to_bytes`
        writes it, then the users' columns."""
        digest = hashlib.sha256(to_json(self._head()))
        self.users.update_hash(digest)
        return digest.hexdigest()

    def to_bytes(self, user_table: str | None = None) -> bytes:
        """The instance as JSON, a line a user; `user_table` names a Parquet file of its users."""
        return to_json(self._head() | {"users": user_table or self.users.to_rows()})

    def _head(self) -> dict[str, Any]:
        head = self.model_dump(exclude={"users", "models", "servers"}, exclude_none=True)
        for kind in ("servers", "models"):
            head[kind] = [item.model_dump(exclude_defaults=True) for item in getattr(self, kind)]
        return head

    def __repr__(self) -> str:
        kinds = ("users", "servers", "models")
        sizes = (counted(len(getattr(self, kind)), kind) for kind in kinds)
        return f'<Instance "{printable(self.name)}": {", ".join(sizes)}>'

    def __eq__(self, other: object) -> bool:
        # where a record was read from is not part of what it says
        return isinstance(other, Instance) and self.__dict__ == other.__dict__

    __hash__ = Record.__hash__


def as_instance(given: Instance) -> Instance:
    """The instance itself; UsageError where it is none."""
    return as_kind(Instance, given, "instance must be an Instance: read_instance(...)")


def _repeated(kind: str, names: list[str]) -> Iterator[str]:
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name in seen:
            yield f'{kind}[{i}].name: must be unique, "{name}" is used before'
        seen.add(name)


def _gains(users: Users) -> tuple[Index, Mask]:
    """(N,) how many entries a user's `channel_gain` has, and whether all are null."""
    gain = users.channel_gain
    if gain.dtype == object:  # lists of several lengths
        widths = np.array([len(row) for row in gain])
        return widths, np.array([not any(row) for row in gain], bool)
    return np.full(gain.shape[0], gain.shape[1]), np.logical_and.reduce(np.isnan(gain), axis=1)


def _rounded_down(accuracy: float) -> float:
    rounded = round(accuracy, 6)
    return rounded if rounded <= accuracy else round(rounded - 1e-6, 6)


def read_instance(path: str | Path) -> Instance:
    """Read and validate an instance file, with the table of its users where it names one.

    Parameters
    ----------
    path
        A JSON file in the format ``dtkd-opt/instance/1``, also compressed (``.json.gz``); "-" is
        standard input.

    Returns
    -------
    Instance
        Its `sha256` is of what was read, after decompression.

    Raises
    ------
    InputError
        One line per fault, each with the file and the path inside it.
    """
    path = as_file(path)
    source = source_name(path)
    data = read_unpacked(path)
    head = parse_json(data, source)
    user_table = referenced_parquet(head, path)
    if user_table is None:
        instance = validate(Instance, head, source)
        instance._sha256 = sha256(data)
        return instance
    head["users"] = read_parquet(Users, user_table)
    try:
        instance = validate(Instance, head, source)
    except InputError as error:
        if all(fault.startswith("users[") for fault in error.faults):
            raise InputError(str(user_table), error.faults) from None
        raise
    instance._sha256 = instance.hash_contents()
    return instance


def write_instance(
    instance: Instance, path: str | Path, users: Storage = "auto"
) -> tuple[Path, ...]:
    """Write an instance file atomically; `read_instance` gives back an equal record.

    Parameters
    ----------
    instance, path
        What to write, and where.
    users
        "json": in the file. "parquet": as a table beside it, which is written first, with the
        file's name but for its ending. "auto": as a table from 100,000 users on, but to "-"
        (standard output) and pipes, beside which no file lies.

    Returns
    -------
    tuple of Path
        The files written.
    """
    instance = as_instance(instance)
    path = as_file(path)
    user_table = parquet_path(path, users, len(instance.users))
    return write_with_parquet(path, instance.users, user_table, instance.to_bytes)

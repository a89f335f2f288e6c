"""Solution records: what a method found, as written to and read from a file.

The file format is documented in instances/README.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, Strict

from dtkd_opt.records.columns import Column, Columns, Texts
from dtkd_opt.records.fields import Fraction, Name, NonNegative, Record, Text
from dtkd_opt.records.files import parse_json, read_bytes, validate, write_atomic
from dtkd_opt.records.instance import PLACES, Place
from dtkd_opt.records.parquet import (
    Form,
    has_pyarrow,
    read_table,
    table_beside,
    table_named,
    write_table,
)

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "dtkd-opt/solution/1"

Status = Literal["optimal", "feasible", "infeasible", "unknown"]
Termination = Literal[
    "gap_reached", "heuristic_end", "time_limit", "iteration_limit", "interrupted",
    "infeasible", "no_plan_found", "stalled",
]  # fmt: skip
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Whole = Annotated[int, Strict(), Field(ge=0)]
_LARGEST = float(np.finfo(float).max)


class UserPlan(Record):
    """What one user does: the option it takes, its shares of the pools, and what follows."""

    name: Name
    model: Name
    place: Place
    server: Name
    uplink_hz: NonNegative
    downlink_hz: NonNegative
    cpu_hz: NonNegative
    delay_s: NonNegative
    accuracy: Fraction
    energy_j: NonNegative


class UserPlans(Columns[UserPlan]):
    """What all users do, as read-only columns of shape (N,) and the sequence of their records."""

    __slots__ = ()
    record = UserPlan
    keys: ClassVar[Mapping[str, Column]] = {
        "name": Column("text"),
        "model": Column("text"),
        "place": Column("text", choices=PLACES),
        "server": Column("text"),
        "uplink_hz": Column("number", 0, _LARGEST),
        "downlink_hz": Column("number", 0, _LARGEST),
        "cpu_hz": Column("number", 0, _LARGEST),
        "delay_s": Column("number", 0, _LARGEST),
        "accuracy": Column("number", 0, 1),
        "energy_j": Column("number", 0, _LARGEST),
    }

    name: Texts
    model: Texts
    place: Texts
    server: Texts
    uplink_hz: NDArray[np.float64]
    downlink_hz: NDArray[np.float64]
    cpu_hz: NDArray[np.float64]
    delay_s: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    energy_j: NDArray[np.float64]


class Solution(Record):
    """A plan for all users with its claimed figures; `check` recomputes every one of them.

    `status` is what is held, `termination` why the method stopped. Without a plan
    (`infeasible`, `unknown`) `users` is empty and the plan's figures are null.
    """

    format: Literal["dtkd-opt/solution/1"]
    instance: Name
    instance_sha256: Text
    method: Name
    seed: Whole
    termination: Termination
    status: Status
    incumbent_objective: Number | None
    objective_bound: Number | None
    gap: NonNegative | None
    mean_accuracy: Fraction | None
    total_delay_s: NonNegative | None
    runtime_s: NonNegative
    version: Text
    users: UserPlans

    def to_bytes(self) -> bytes:
        """The solution as JSON, one line per user."""
        rows = ",\n  ".join(_json(row) for row in self.users.to_rows())
        return self._written(f"[\n  {rows}]" if rows else "[]")

    def head_bytes(self, table: str) -> bytes:
        """The solution as JSON, its users in a table of this name."""
        return self._written(_json(table))

    def _written(self, users: str) -> bytes:
        head = self.model_dump(exclude={"users"})
        parts = [f"{_json(key)}: {_json(value)}" for key, value in head.items()]
        return ("{" + ",\n ".join([*parts, f'"users": {users}']) + "}\n").encode()

    def to_frame(self) -> pd.DataFrame:
        """The users' plans as a pandas table, one row a user."""
        import pandas as pd

        return pd.DataFrame({key: getattr(self.users, key) for key in UserPlans.keys})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's; users may be given as records."""
        if update and not isinstance(update.get("users", self.users), UserPlans):
            update = {**update, "users": UserPlans.from_records(update["users"])}
        return super().model_copy(update=update, deep=deep)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def read_solution(path: str | Path) -> Solution:
    """Read and validate a solution file, with the table of its users where it names one.

    Raises
    ------
    InputError
        One line per fault, each with the file and the path inside it.
    """
    path = Path(path)
    head = parse_json(read_bytes(path), str(path))
    if table := table_named(head, path):
        head["users"] = read_table(UserPlans, table)
    return validate(Solution, head, str(path))


def write_solution(solution: Solution, path: str | Path, users: Form = "auto") -> tuple[Path, ...]:
    """Write a solution file atomically.

    Parameters
    ----------
    solution, path
        What to write where.
    users
        "json": in the file. "parquet": as a table beside it, which is written first, with the
        file's name but for its ending. "auto": as a table from 100,000 users on, if pyarrow is
        installed: an answer must not be lost for want of it.

    Returns
    -------
    tuple of Path
        The files written.
    """
    path = Path(path)
    form: Form = "json" if users == "auto" and not has_pyarrow() else users
    table = table_beside(path, form, len(solution.users))
    if table is None:
        write_atomic(path, solution.to_bytes())
        return (path,)
    write_table(solution.users, table)
    write_atomic(path, solution.head_bytes(table.name))
    return path, table

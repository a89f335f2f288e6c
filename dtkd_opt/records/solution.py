"""Solution records: what a method found, as written to and read from a file.

The file format is documented in instances/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from dtkd_opt.errors import UsageError
from dtkd_opt.records.arguments import as_file
from dtkd_opt.records.fields import Fraction, Name, NonNegative, Number, Record, Text, Whole
from dtkd_opt.records.files import read_json
from dtkd_opt.records.json_text import to_json
from dtkd_opt.records.packing import Column
from dtkd_opt.records.parquet import (
    Storage,
    parquet_path,
    read_parquet,
    referenced_parquet,
    write_with_parquet,
)
from dtkd_opt.records.plan import MAX_FLOAT, PlanColumns, PlanRow
from dtkd_opt.records.streams import source_name
from dtkd_opt.records.validation import validate

if TYPE_CHECKING:
    import pandas as pd

FORMAT: Literal["dtkd-opt/solution/1"] = "dtkd-opt/solution/1"

Status = Literal["optimal", "feasible", "infeasible", "unknown"]
Termination = Literal[
    "gap_reached", "heuristic_end", "time_limit", "iteration_limit", "interrupted",
    "infeasible", "no_plan_found", "stalled",
]  # fmt: skip
"""Why a method stopped."""


class UserPlan(PlanRow):
    """What one user does, and what follows from it."""

    delay_s: NonNegative  # T_n, until its student is trained and there [s]
    accuracy: Fraction  # of its student
    energy_j: NonNegative  # what its device spends [J]


class UserPlans(PlanColumns[UserPlan]):
    """What all users do, as read-only columns of shape (N,) and the sequence of their records."""

    __slots__ = ()
    record = UserPlan
    keys: ClassVar[Mapping[str, Column]] = {  # what each column may hold
        **PlanColumns.keys,
        "delay_s": Column("number", 0, MAX_FLOAT),
        "accuracy": Column("number", 0, 1),
        "energy_j": Column("number", 0, MAX_FLOAT),
    }


class Solution(Record):
    """A plan for all users with its claimed figures; `check` recomputes every one of them.

    `status` is what is held, `termination` why the method stopped. Without a plan
    (`infeasible`, `unknown`) `users` is empty and the plan's figures are null.
    """

    format: Literal["dtkd-opt/solution/1"] = FORMAT  # of its file
    instance: Name  # its name
    instance_sha256: Text  # of the instance's file or contents (:attr:`Instance.sha256`)
    method: Name  # its name
    seed: Whole  # of the method's randomness
    termination: Termination  # why the method stopped
    status: Status  # what is held: optimal to the gap that was asked for, feasible, …
    incumbent_objective: Number | None  # J of the plan [s]
    objective_bound: Number | None  # proven lower bound on J [s], if any
    gap: NonNegative | None  # (objective - bound) / |objective|
    mean_accuracy: Fraction | None  # over the users
    total_delay_s: NonNegative | None  # sum of the users' delays [s]
    runtime_s: NonNegative  # what the method took [s]
    version: Text  # of dtkd-opt
    users: UserPlans  # a row a user, in the instance's order; empty without a plan

    def to_bytes(self, user_table: str | None = None) -> bytes:
        """The solution as JSON, a line a user; `user_table` names a Parquet file of its users."""
        head = self.model_dump(exclude={"users"})
        return to_json(head | {"users": user_table or self.users.to_rows()})

    def to_frame(self) -> pd.DataFrame:
        """The users' plans as a pandas table, one row a user."""
        import pandas as pd

        return pd.DataFrame({key: getattr(self.users, key) for key in UserPlans.keys})


class HasSolution(Protocol):
    """What carries a solution, such as the result of `solve`."""

    @property
    def solution(self) -> Solution: ...


def as_solution(given: Solution | HasSolution) -> Solution:
    """The solution itself, or that of a result; UsageError where it is neither."""
    solution = getattr(given, "solution", given)
    if not isinstance(solution, Solution):
        raise UsageError(f"needs a Solution or the Result of solve, got {type(given).__name__}")
    return solution


def read_solution(path: str | Path) -> Solution:
    """Read and validate a solution file, with the table of its users where it names one.

    Parameters
    ----------
    path
        A JSON file in the format ``dtkd-opt/solution/1``, also compressed (``.json.gz``); "-" is
        standard input.

    Returns
    -------
    Solution
        As the file says; :func:`dtkd_opt.proof.check.check` judges whether it is true.

    Raises
    ------
    InputError
        One line per fault, each with the file and the path inside it.
    """
    path = as_file(path)
    head = read_json(path)
    if user_table := referenced_parquet(head, path):
        head["users"] = read_parquet(UserPlans, user_table)
    return validate(Solution, head, source_name(path))


def write_solution(
    solution: Solution | HasSolution, path: str | Path, users: Storage = "auto"
) -> tuple[Path, ...]:
    """Write a solution file atomically.

    Parameters
    ----------
    solution, path
        What to write (a result counts as its solution), and where.
    users
        "json": in the file. "parquet": as a table beside it, which is written first, with the
        file's name but for its ending. "auto": as a table from 100,000 users on, if pyarrow is
        installed: an answer must not be lost for want of it; never to "-" (standard output).

    Returns
    -------
    tuple of Path
        The files written.
    """
    solution = as_solution(solution)
    storage: Storage = users
    if isinstance(users, str) and users == "auto" and not find_spec("pyarrow"):
        storage = "json"
    path = as_file(path)
    user_table = parquet_path(path, storage, len(solution.users))
    return write_with_parquet(path, solution.users, user_table, solution.to_bytes)

"""Solution records: what a method found, as written to and read from a file.

The file format is documented in instances/README.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

from dtkd_opt.files import parse_json, read_bytes, validate, write_atomic
from dtkd_opt.instance import Fraction, Name, NonNegative, Place

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
Text = Annotated[str, Strict()]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class UserPlan(_Record):
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


class Solution(_Record):
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
    users: tuple[UserPlan, ...]

    def to_bytes(self) -> bytes:
        """The solution as JSON, one line per user."""
        head = self.model_dump(exclude={"users"})
        parts = [f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in head.items()]
        rows = ",\n  ".join(json.dumps(u.model_dump(), ensure_ascii=False) for u in self.users)
        parts.append(f'"users": [\n  {rows}]' if rows else '"users": []')
        return ("{" + ",\n ".join(parts) + "}\n").encode()

    def to_frame(self) -> pd.DataFrame:
        """The users' plans as a pandas table, one row a user."""
        import pandas as pd

        columns = list(UserPlan.model_fields)
        return pd.DataFrame([u.model_dump() for u in self.users], columns=columns)


def read_solution(path: str | Path) -> Solution:
    """Read and validate a solution file; raises InputError with one line per fault."""
    path = Path(path)
    return validate(Solution, parse_json(read_bytes(path), str(path)), str(path))


def write_solution(solution: Solution, path: str | Path) -> None:
    """Write a solution file atomically."""
    write_atomic(Path(path), solution.to_bytes())

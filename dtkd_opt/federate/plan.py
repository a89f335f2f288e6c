"""What is carried out: a plan for an instance, and the labels that its students learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from dtkd_opt.errors import UsageError
from dtkd_opt.records.instance import Instance, as_instance
from dtkd_opt.records.solution import Solution, as_solution

LabelType = Literal["soft", "hard"]


@dataclass(frozen=True, eq=False, repr=False)
class FederationPlan:
    """A plan and its instance; `hard` labels alone are for plans that train on devices only.

    A result of `solve` counts as its solution.
    """

    instance: Instance
    solution: Solution
    labels: LabelType = "soft"

    def __post_init__(self) -> None:
        as_instance(self.instance)
        object.__setattr__(self, "solution", as_solution(self.solution))
        if self.labels not in get_args(LabelType):
            raise UsageError(f'labels must be "soft" or "hard", got {self.labels!r}')

    def __repr__(self) -> str:
        what = f"plan of {self.solution.method}, {self.labels} labels"
        return f"<FederationPlan of {self.instance!r}: {what}>"

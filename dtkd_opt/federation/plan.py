"""What is carried out: a plan for an instance, and the labels that its students learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from dtkd_opt.errors import UsageError
from dtkd_opt.records.arguments import shown
from dtkd_opt.records.calibration import Labels
from dtkd_opt.records.instance import Instance, as_instance
from dtkd_opt.records.solution import Solution, as_solution


@dataclass(frozen=True, eq=False, repr=False)
class FederationPlan:
    """A plan and its instance; `hard` labels alone are for plans that train on devices only.

    A result of `solve` counts as its solution.
    """

    instance: Instance  # the problem
    solution: Solution  # its plan; a result of `solve` counts as its solution
    labels: Labels = "soft"  # what the students learn from

    def __post_init__(self) -> None:
        as_instance(self.instance)
        object.__setattr__(self, "solution", as_solution(self.solution))
        if not isinstance(self.labels, str) or self.labels not in get_args(Labels):
            raise UsageError(f'labels must be "soft" or "hard", got {shown(self.labels)}')

    def __repr__(self) -> str:
        what = f"plan of {self.solution.method}, {self.labels} labels"
        return f"<FederationPlan of {self.instance!r}: {what}>"

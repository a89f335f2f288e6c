"""What is carried out: a plan for an instance, and the labels that its students learn from."""

from __future__ import annotations

from dataclasses import dataclass

from dtkd_opt.records.calibration import Labels
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.solution import Solution, as_solution


@dataclass(frozen=True, eq=False)
class FederationPlan:
    """A plan and its instance; `hard` labels alone are for plans that train on devices only.

    A result of `solve` counts as its solution.
    """

    instance: Instance  # the problem
    solution: Solution  # its plan; a result of `solve` counts as its solution
    labels: Labels = "soft"  # what the students learn from

    def __post_init__(self) -> None:
        object.__setattr__(self, "solution", as_solution(self.solution))

"""What a method found: the solution record, the plan behind it and how it came about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dtkd_opt.errors import printable, printable_lines
from dtkd_opt.methods.search import Incumbent, Search
from dtkd_opt.methods.stop import Progress
from dtkd_opt.records.arrays import Array
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.plan import Plan
from dtkd_opt.records.solution import Solution, Status, Termination, UserPlans
from dtkd_opt.records.version import __version__


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What :func:`solve` found; ``print(result)`` shows the tables that the command prints."""

    instance: Instance  # the problem
    solution: Solution  # the record that :func:`write_solution` writes
    incumbent: Incumbent | None  # the best choice, its plan, figures, prices; None without a plan
    history: tuple[Progress, ...]  # the progress whenever bound, incumbent or phase changed
    reason: str  # why there is no plan; empty when there is one

    @property
    def status(self) -> Status:
        """What is held: "optimal" to the gap that was asked for, "feasible", …"""
        return self.solution.status

    @property
    def objective(self) -> float:
        """J of the plan [s]; inf without one."""
        value = self.solution.incumbent_objective
        return float("inf") if value is None else value

    @property
    def bound(self) -> float:
        """Proven lower bound on J [s]; -inf without one."""
        value = self.solution.objective_bound
        return -float("inf") if value is None else value

    @property
    def gap(self) -> float:
        """(objective - bound) / |objective|; inf without a plan or bound."""
        return float("inf") if self.solution.gap is None else self.solution.gap

    @property
    def plan(self) -> Plan | None:
        """The plan in numbers, as columns; None without one."""
        return None if self.incumbent is None else self.incumbent.plan

    @property
    def prices(self) -> Array | None:
        """(3, S) prices of the pools [s per Hz or cycle/s] at the plan; None without one."""
        return None if self.incumbent is None else self.incumbent.prices

    def __str__(self) -> str:
        from dtkd_opt.reporting.summary import as_text, summary  # rich, only when used

        tables = as_text(summary(self.instance, self.solution, self.prices))
        return f"{tables}\n{printable_lines(self.reason)}".rstrip()

    def __repr__(self) -> str:
        return (
            f"<Result of {self.solution.method} on {printable(self.instance.name)}: {self.status}, "
            f"objective {self.objective:.6g}, bound {self.bound:.6g}, gap {self.gap:.1e}>"
        )


def make_result(
    instance: Instance,
    method: str,
    seed: int,
    search: Search | None,
    termination: Termination,
    reason: str,
    runtime_s: float,
) -> Result:
    """The result of a finished search; `search` is None where a user has no option at all."""
    incumbent = search.incumbent if search is not None else None
    bound = search.bound if search is not None else -np.inf
    evaluation = incumbent.evaluation if incumbent is not None else None
    has_bound = bool(np.isfinite(bound)) and termination != "infeasible"
    status: Status = "unknown"
    if termination == "infeasible":
        status = "infeasible"
    elif search is not None and incumbent is not None:
        status = "optimal" if search.proven else "feasible"
    if incumbent is None:
        reason = reason or f"{method} found no feasible plan before it stopped ({termination})"
    solution = Solution(
        instance=instance.name,
        instance_sha256=instance.sha256,
        method=method,
        seed=seed,
        termination=termination,
        status=status,
        incumbent_objective=evaluation.objective if evaluation else None,
        objective_bound=float(bound) if has_bound else None,
        gap=search.gap if search is not None and evaluation and has_bound else None,
        mean_accuracy=evaluation.mean_accuracy if evaluation else None,
        total_delay_s=evaluation.total_delay_s if evaluation else None,
        runtime_s=runtime_s,
        version=__version__,
        users=_user_plans(instance, incumbent),
    )
    history = tuple(search.history) if search is not None else ()
    return Result(instance, solution, incumbent, history, reason)


def _user_plans(instance: Instance, incumbent: Incumbent | None) -> UserPlans:
    if incumbent is None:
        return UserPlans.from_records(())
    plan, figures = incumbent.plan, incumbent.evaluation
    return UserPlans.from_columns(
        **plan.to_columns(instance),
        delay_s=figures.delay_s,
        accuracy=figures.accuracy,
        energy_j=figures.energy_j,
    )

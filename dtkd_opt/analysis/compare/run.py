"""One run of a comparison: solved, checked, and made a row."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Literal, Self

from pydantic import model_validator

from dtkd_opt.analysis.compare.spec import RunSpec
from dtkd_opt.errors import DtkdError
from dtkd_opt.methods.registry import make_method, method_version, settings_of
from dtkd_opt.methods.result import Result
from dtkd_opt.methods.solve import solve
from dtkd_opt.methods.stop import relative_gap
from dtkd_opt.problem.generate import generate_instance
from dtkd_opt.proof.check import TOLERANCE, check
from dtkd_opt.records.fields import Fraction, NonNegative, Number, Text, raise_faults
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.solution import Status, Termination
from dtkd_opt.runtime.jobs import Row, one_line, reason_of, this_worker, versions_of

Outcome = Literal["plan", "no_plan", "failed"]
# phase, seconds, bound, incumbent
HistoryEntry = tuple[Text, NonNegative, Number | None, Number | None]
_PACKAGES = ("numpy", "scipy", "clarabel", "highspy", "pyomo")
_MAX_SHOWN = 3  # faults of a plan in a row


class Run(Row):
    """The outcome of a run, with the figures of a plan that passed `check`.

    `outcome` is "plan"; "no_plan" where the method found none or proved that there is none; or
    "failed" where it raised or `check` found faults. `reason` explains the latter two.
    """

    spec: RunSpec
    outcome: Outcome
    status: Status | None = None
    termination: Termination | None = None
    incumbent_objective: Number | None = None
    objective_bound: Number | None = None
    gap: NonNegative | None = None
    mean_accuracy: Fraction | None = None
    total_delay_s: NonNegative | None = None
    runtime_s: NonNegative | None = None
    history: tuple[HistoryEntry, ...] = ()

    @model_validator(mode="after")
    def _check_figures(self) -> Self:
        """J, bound and gap of a row that was read must agree."""
        best, bound = self.incumbent_objective, self.objective_bound
        if self.outcome == "plan" and best is None:
            raise_faults(["incumbent_objective: must be a number where there is a plan"])
        if best is None or bound is None:
            if self.gap is not None:
                raise_faults(["gap: must be null where there is no plan or no bound"])
            return self
        gap = relative_gap(best, bound)
        if bound > best + TOLERANCE * abs(best):
            raise_faults(
                [f"objective_bound: must be at most the plan's {best:.12g}, got {bound:g}"]
            )
        if self.gap is None or abs(self.gap - gap) > TOLERANCE:
            raise_faults([f"gap: must be {gap:.6g}, from objective and bound, got {self.gap}"])
        return self


def execute(instance: Instance, spec: RunSpec) -> Run:
    """Solve and check; whatever the method raises becomes the row's reason."""
    row = Run(spec=spec, outcome="no_plan", worker=this_worker(), versions=versions_of(*_PACKAGES))
    try:
        installed = method_version(spec.method)
        if installed != spec.version:
            raise DtkdError(f"here is {installed}, the run needs {spec.version}; install the same")
        _load(spec.method)
        method = make_method(spec.method, spec.settings, spec.label)
        settings = settings_of(method)
        if spec.files and (settings is None or dict(settings.hash_files()) != spec.files):
            names = " or ".join(spec.files)
            raise DtkdError(f"{names} holds something else here than for this comparison")
        result = solve(
            instance,
            method,
            gap=spec.gap_target,
            time_limit=spec.time_limit_s,
            iterations=spec.iterations,
            seed=spec.seed,
        )
        return _row(row, result)
    except (Exception, SystemExit) as error:  # whatever a method does
        return row.failed(reason_of(error))


def _row(row: Run, result: Result) -> Run:
    solution = result.solution
    row = row.replace(
        status=solution.status,
        termination=solution.termination,
        objective_bound=solution.objective_bound,
        runtime_s=solution.runtime_s,
        reason=one_line(result.reason),
        history=[
            (p.phase, p.elapsed_s, _finite(p.bound), _finite(p.incumbent)) for p in result.history
        ],
    )
    if solution.termination == "interrupted":
        return row.failed("was interrupted")
    if not solution.users:
        return row
    if faults := check(result.instance, solution):
        rest = f" (and {len(faults) - _MAX_SHOWN} more)" if len(faults) > _MAX_SHOWN else ""
        return row.failed("check: " + "; ".join(faults[:_MAX_SHOWN]) + rest)
    return row.replace(
        outcome="plan",
        incumbent_objective=solution.incumbent_objective,
        gap=solution.gap,
        mean_accuracy=solution.mean_accuracy,
        total_delay_s=solution.total_delay_s,
    )


@cache
def _load(method: str) -> None:
    """Solve three users once a process, so that no run's time holds the imports of solvers."""
    with suppress(Exception, SystemExit):  # a failure is reported by the run
        solve(generate_instance(3), method, iterations=1)


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None

"""One run of a comparison: it is done, checked, and made a row."""

from __future__ import annotations

import platform
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from typing import Literal

from dtkd_opt.check import check
from dtkd_opt.compare.question import Asked
from dtkd_opt.errors import DtkdError
from dtkd_opt.fields import Fraction, NonNegative, Text
from dtkd_opt.generate import generate_instance
from dtkd_opt.instance import Instance
from dtkd_opt.jobs import Row, one_line, this_worker
from dtkd_opt.methods import method_version
from dtkd_opt.methods.settings import make_params
from dtkd_opt.solution import Number, Status, Termination
from dtkd_opt.solve import Result, solve

Outcome = Literal["plan", "no_plan", "failed"]
Moment = tuple[Text, NonNegative, Number | None, Number | None]  # phase, seconds, bound, incumbent
_PACKAGES = ("numpy", "scipy", "clarabel", "highspy", "pyomo")
_SHOWN = 3  # faults of a plan that a row tells


class Run(Row):
    """What a run found. The figures are of a plan that `check` holds for feasible and true.

    `outcome` is "plan"; "no_plan" where the method found none or proved that there is none; or
    "failed" where it raised or `check` found faults. `reason` says why in the latter two.
    """

    asked: Asked
    outcome: Outcome
    status: Status | None = None
    termination: Termination | None = None
    incumbent_objective: Number | None = None
    objective_bound: Number | None = None
    gap: NonNegative | None = None
    mean_accuracy: Fraction | None = None
    total_delay_s: NonNegative | None = None
    runtime_s: NonNegative | None = None
    history: tuple[Moment, ...] = ()


def execute(instance: Instance, asked: Asked) -> Run:
    """Solve and check; whatever the method raises becomes the row's reason.

    Parameters
    ----------
    instance, asked
        The instance, and what to run on it.
    """
    row = Run(asked=asked, outcome="no_plan", worker=this_worker(), versions=_versions())
    try:
        here = method_version(asked.method)
        if here != asked.version:
            raise DtkdError(f"here is {here}, asked for was {asked.version}; install the same")
        _load(asked.method)
        result = solve(
            instance,
            asked.method,
            gap=asked.gap_asked,
            time_limit=asked.time_limit_s,
            iterations=asked.iterations,
            seed=asked.seed,
            params=make_params(asked.method, asked.settings),
        )
        return _row(row, result)
    except DtkdError as error:
        return row.failed(str(error))
    except (Exception, SystemExit) as error:  # whatever a method does
        return row.failed(f"{type(error).__name__}: {error}")


def _row(row: Run, result: Result) -> Run:
    solution = result.solution
    copied = ("status", "termination", "objective_bound", "runtime_s")
    row = row.model_copy(update={key: getattr(solution, key) for key in copied})
    history = tuple(
        (p.phase, p.elapsed_s, _finite(p.bound), _finite(p.incumbent)) for p in result.history
    )
    row = row.model_copy(update={"history": history, "reason": one_line(result.reason)})
    if solution.termination == "interrupted":
        return row.failed("was interrupted")
    if not solution.users:
        return row
    faults = check(result.instance, solution)
    if faults:
        rest = f" (and {len(faults) - _SHOWN} more)" if len(faults) > _SHOWN else ""
        return row.failed("check: " + "; ".join(faults[:_SHOWN]) + rest)
    copied = ("incumbent_objective", "gap", "mean_accuracy", "total_delay_s")
    figures = {key: getattr(solution, key) for key in copied}
    return row.model_copy(update={"outcome": "plan", **figures})


@cache
def _load(method: str) -> None:
    """Solve three users once a process, so that no run's time holds the imports of solvers."""
    with suppress(Exception, SystemExit):  # what fails here will in the run, and is told there
        solve(generate_instance(3), method, iterations=1)


@cache
def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None

"""Solve an instance with any method and hold what came out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, get_args

import numpy as np

from dtkd_opt.errors import InfeasibleError, UsageError
from dtkd_opt.methods import Method, get_method
from dtkd_opt.methods.search import (
    Callback,
    Incumbent,
    NoPlanError,
    Progress,
    Search,
    Stop,
    TimeIsUp,
    describe_conflicts,
)
from dtkd_opt.pricing.allocation import ChoiceInfeasible
from dtkd_opt.problem.options import Options, build_options
from dtkd_opt.records.instance import PLACES, Instance
from dtkd_opt.records.solution import FORMAT, Solution, Status, Termination, UserPlans
from dtkd_opt.records.version import __version__
from dtkd_opt.runtime.interrupts import KeepOnCtrlC


@dataclass(frozen=True, eq=False)
class Result:
    """What a method found: the solution record, its incumbent and how it came about."""

    instance: Instance
    solution: Solution
    incumbent: Incumbent | None
    history: tuple[Progress, ...]
    reason: str  # why there is no plan; empty when there is one

    @property
    def status(self) -> Status:
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


def solve(
    instance: Instance,
    method: str = "auto",
    *,
    gap: float = 1e-6,
    time_limit: float | None = None,
    iterations: int | None = None,
    seed: int = 0,
    params: Any = None,
    callback: Callback | None = None,
    options: Options | None = None,
) -> Result:
    """Solve an instance.

    Parameters
    ----------
    instance
        From :func:`read_instance` or :func:`generate_instance`.
    method
        One of ``dtkd_opt.METHODS``, or of another package that is installed and brings it.
    gap
        Relative gap (incumbent - bound) / |incumbent| at which to stop, at least 0.
    time_limit
        Seconds, or None for no limit; the best incumbent and a valid bound come back.
    iterations
        Limit of the method's own rounds (`exact`: of HiGHS; the baselines: price steps), or None.
    seed
        Seed of all randomness: same seed and iteration limit, same answer.
    params
        The method's settings, such as ``ExactParams``; None for its defaults.
    callback
        Called with a :class:`Progress` whenever bound, incumbent or phase change.
    options
        The instance's option table, if it is at hand: from :func:`build_options`.

    Returns
    -------
    Result
        Its status is "infeasible" or "unknown" when there is no plan, with the reason.

    Raises
    ------
    UsageError
        Unknown method, or settings that it does not take.
    """
    chosen = get_method(method)
    params = chosen.default_params() if params is None else params
    kind = chosen.params_type or type(None)
    if not isinstance(params, kind):
        what = kind.__name__ if chosen.params_type else "no params"
        raise UsageError(f"{chosen.name} takes {what}, got {params!r}")
    check_limits(gap, time_limit, iterations, seed)
    with KeepOnCtrlC():
        return run(
            instance,
            chosen,
            Stop(
                float(gap),
                float("inf") if time_limit is None else float(time_limit),
                None if iterations is None else int(iterations),
            ),
            int(seed),
            params,
            callback,
            options,
        )


def check_limits(
    gap: float, time_limit: float | None, iterations: int | None = None, seed: int = 0
) -> None:
    """Raise UsageError, in words, for limits that mean nothing."""
    if not (isinstance(gap, Real) and gap >= 0):
        raise UsageError(f"gap must be a number of at least 0, got {gap!r}")
    if time_limit is not None and not (isinstance(time_limit, Real) and time_limit > 0):
        raise UsageError(f"time_limit must be seconds greater than 0, got {time_limit!r}")
    if iterations is not None and not (isinstance(iterations, Integral) and iterations >= 1):
        raise UsageError(f"iterations must be a whole number of at least 1, got {iterations!r}")
    if not (isinstance(seed, Integral) and 0 <= seed < 2**31):
        raise UsageError(f"seed must be a whole number from 0 to {2**31 - 1}, got {seed!r}")


def run(
    instance: Instance,
    chosen: Method,
    stop: Stop,
    seed: int,
    params: Any,
    callback: Callback | None = None,
    options: Options | None = None,
) -> Result:
    """As :func:`solve`, of a method that need not have a name known here; limits are not checked.

    A method that raises no bound gets that of the prices, whatever ended it.
    """
    started = time.monotonic()
    search: Search | None = None
    termination: Termination
    try:
        options = build_options(instance) if options is None else options
    except InfeasibleError as error:
        termination, reason = "infeasible", str(error)
    else:
        search = Search(instance, options, stop, callback)
        termination, reason = _attempt(chosen, search, seed, params)
        if not np.isfinite(search.bound) and not search.refuted and termination != "infeasible":
            termination, reason = _bounded(search, termination, reason)
    if search is None or search.incumbent is None:
        reason = reason or f"{chosen.name} found no feasible plan before it stopped ({termination})"
    runtime = time.monotonic() - started
    solution = _record(instance, chosen.name, seed, search, termination, runtime)
    return Result(
        instance,
        solution,
        search.incumbent if search is not None else None,
        tuple(search.history) if search is not None else (),
        reason,
    )


def _attempt(chosen: Method, search: Search, seed: int, params: Any) -> tuple[Termination, str]:
    """Why the method stopped, and what there is to say about it."""
    try:
        termination = chosen.run(search, seed, params)
    except InfeasibleError as error:
        return "infeasible", str(error)
    except NoPlanError as error:
        return "no_plan_found", str(error)
    except ChoiceInfeasible as error:  # plans offered before stay valid
        conflicts = describe_conflicts(error, search.instance)
        end: Termination = "no_plan_found" if search.incumbent is None else "stalled"
        return end, f"{chosen.name}: its choice has no feasible allocation: {conflicts}"
    except ArithmeticError as error:  # rounding left no way on: what was found stays valid
        return "stalled", f"{chosen.name} stopped: {error}"
    except TimeIsUp:
        return "time_limit", ""
    except KeyboardInterrupt:
        return "interrupted", ""
    if termination not in get_args(Termination):
        ends = ", ".join(get_args(Termination))
        raise UsageError(f"{chosen.name} must return one of {ends}; it returned {termination!r}")
    return termination, ""


def _bounded(search: Search, termination: Termination, reason: str) -> tuple[Termination, str]:
    """Raise the search's bound to the prices'; after Ctrl-C to that of their first point."""
    from dtkd_opt.methods.bounding import price_bound
    from dtkd_opt.pricing.bundle import MAX_STEPS  # solvers, only when used

    def prices(search: Search, seed: int, params: None) -> Termination:
        price_bound(search, max_steps=0 if termination == "interrupted" else MAX_STEPS)
        return "heuristic_end"

    end, why = _attempt(Method("prices", prices, None), search, 0, None)
    if end in ("infeasible", "interrupted"):
        return end, why or reason
    if termination == "heuristic_end" and search.proven:
        return "gap_reached", reason
    return termination, reason or why


def _record(
    instance: Instance,
    method: str,
    seed: int,
    search: Search | None,
    termination: Termination,
    runtime_s: float,
) -> Solution:
    """The solution record of a finished search, ready to be written."""
    incumbent = search.incumbent if search is not None else None
    bound = search.bound if search is not None else -np.inf
    evaluation = incumbent.evaluation if incumbent is not None else None
    has_bound = bool(np.isfinite(bound)) and termination != "infeasible"
    return Solution(
        format=FORMAT,
        instance=instance.name,
        instance_sha256=instance.sha256,
        method=method,
        seed=seed,
        termination=termination,
        status=_status(search, termination),
        incumbent_objective=evaluation.objective if evaluation else None,
        objective_bound=float(bound) if has_bound else None,
        gap=search.gap if search is not None and evaluation and has_bound else None,
        mean_accuracy=evaluation.mean_accuracy if evaluation else None,
        total_delay_s=evaluation.total_delay_s if evaluation else None,
        runtime_s=runtime_s,
        version=__version__,
        users=_user_plans(instance, incumbent),
    )


def _status(search: Search | None, termination: Termination) -> Status:
    if termination == "infeasible":
        return "infeasible"
    if search is None or search.incumbent is None:
        return "unknown"
    return "optimal" if search.proven else "feasible"


def _user_plans(instance: Instance, incumbent: Incumbent | None) -> UserPlans:
    if incumbent is None:
        return UserPlans.from_records(())
    plan, figures = incumbent.plan, incumbent.evaluation
    return UserPlans.from_columns(
        name=instance.users.name,
        model=np.array([model.name for model in instance.models], object)[plan.model],
        place=np.array(PLACES, object)[plan.place],
        server=np.array([server.name for server in instance.servers], object)[plan.server],
        uplink_hz=plan.uplink_hz,
        downlink_hz=plan.downlink_hz,
        cpu_hz=plan.cpu_hz,
        delay_s=figures.delay_s,
        accuracy=figures.accuracy,
        energy_j=figures.energy_j,
    )

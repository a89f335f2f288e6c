"""Solve an instance with any method."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from dtkd_opt.errors import InfeasibleError, UsageError, printable
from dtkd_opt.methods.registry import as_method
from dtkd_opt.methods.result import Result, make_result
from dtkd_opt.methods.search import NoPlanError, Search, describe_conflicts
from dtkd_opt.methods.stop import Callback, TimeIsUp, check_limits, check_seed, relative_gap
from dtkd_opt.pricing.allocation import ChoiceInfeasible
from dtkd_opt.problem.options import Options, as_options, build_options
from dtkd_opt.records.arguments import as_callback, shown
from dtkd_opt.records.instance import Instance, as_instance
from dtkd_opt.records.solution import Termination
from dtkd_opt.records.validation import counted
from dtkd_opt.runtime.interrupts import KeepOnCtrlC

if TYPE_CHECKING:
    from dtkd_opt.methods.registry import Method

_PROVERS = ("auto", "price", "exact")
_CUT_SHORT = ("time_limit", "iteration_limit", "interrupted")
_WIDE_GAP = 1e-3  # that is explained


def solve(
    instance: Instance,
    method: str | Method | Callable[[Any, int, Any], Termination] = "auto",
    *,
    gap: float = 1e-6,
    time_limit: float | None = None,
    iterations: int | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    options: Options | None = None,
) -> Result:
    """Solve an instance.

    A method that raises no bound gets that of the prices, whatever ended it.

    Parameters
    ----------
    instance
        From :func:`read_instance` or :func:`generate_instance`, or made in Python.
    method
        A method with its settings, such as ``Exact(fixing=False)``; or its name, one of
        ``dtkd_opt.METHODS`` or of another installed package's, for its defaults
        (``get_method(name, rounds=5)`` for others); or a plain function ``(search, seed, params)``,
        whose `params` are the defaults of their annotation's class, or what
        ``functools.partial(function, params=…)`` gives.
    gap
        Relative gap (incumbent - bound) / |incumbent| at which to stop, at least 0.
    time_limit
        Seconds, or None for no limit; the best incumbent and a valid bound come back.
    iterations
        Limit of the method's own rounds (`exact`: of HiGHS; the baselines: price steps), or None.
    seed
        Seed of all randomness: same seed and iteration limit, same answer.
    callback
        Called with a :class:`Progress` whenever bound, incumbent or phase change.
    options
        The instance's options, if they are at hand: from :func:`build_options`.

    Returns
    -------
    Result
        Its status is "infeasible" or "unknown" when there is no plan, with the reason.

    Raises
    ------
    UsageError
        Unknown method, something that is no method, or limits that mean nothing.
    """
    as_instance(instance)
    if options is not None:
        as_options(options, instance)
    as_callback(callback, "a Progress")
    name, chosen = as_method(method)
    stop, seed = check_limits(gap, time_limit, iterations), check_seed(seed)
    started = time.monotonic()
    search: Search | None = None
    termination: Termination
    with KeepOnCtrlC():
        try:
            options = build_options(instance) if options is None else options
        except InfeasibleError as error:
            termination, reason = "infeasible", str(error)
        else:
            search = Search(instance, options, stop, callback)
            termination, reason = _attempt(name, chosen, search, seed)
            unbounded = not np.isfinite(search.bound) and not search.bound_invalid
            if unbounded and termination != "infeasible":
                termination, reason = _bound_by_prices(search, termination, reason)
            reason = reason or _why_open(name, search, termination)
        runtime_s = time.monotonic() - started
        return make_result(instance, name, seed, search, termination, reason, runtime_s)


def _attempt(name: str, method: Method, search: Search, seed: int) -> tuple[Termination, str]:
    """Why the method stopped, and an explanation where one is needed."""
    ended = _run(name, method, search, seed)
    if search.callback_error is not None:
        raise search.callback_error
    return ended


def _run(name: str, method: Method, search: Search, seed: int) -> tuple[Termination, str]:
    try:
        termination = method(search, seed)
    except InfeasibleError as error:
        return "infeasible", str(error)
    except NoPlanError as error:
        return "no_plan_found", str(error)
    except ChoiceInfeasible as error:  # earlier plans stay valid
        conflicts = describe_conflicts(error, search.instance)
        end: Termination = "no_plan_found" if search.incumbent is None else "stalled"
        return end, f"{name}: its choice has no feasible allocation: {conflicts}"
    except ArithmeticError as error:  # rounding left no way on: what was found stays valid
        return "stalled", f"{name} stopped: {printable(str(error))}"
    except TimeIsUp:
        return "time_limit", ""
    except KeyboardInterrupt:
        return "interrupted", ""
    if not isinstance(termination, str) or termination not in get_args(Termination):
        ends = ", ".join(get_args(Termination))
        raise UsageError(f"{name} must return one of {ends}; it returned {shown(termination)}")
    return termination, ""


def _why_open(name: str, search: Search, termination: Termination) -> str:
    """What limits a proof that should have come to its end, and what may go further."""
    if name not in _PROVERS or search.proven or not np.isfinite(search.gap):
        return ""
    if termination == "stalled":
        words = f"{name} ended with a gap of {search.gap:.1e}, where HiGHS's tolerances end"
        return words + (": --method price, which has none, may prove it" if name == "exact" else "")
    if termination not in _CUT_SHORT or search.gap <= _WIDE_GAP or search.dual_point is None:
        return ""
    root = relative_gap(search.objective, search.dual_point.value / search.options.n_users)
    users, servers = search.options.n_users, search.options.n_servers
    return (
        f"{name}: with {counted(users, 'users')} at {counted(servers, 'servers')} the best prices "
        f"leave a gap of {root:.1e}, of which branching and HiGHS need more time to prove the rest"
    )


def _bound_by_prices(
    search: Search, termination: Termination, reason: str
) -> tuple[Termination, str]:
    """Raise the search's bound to the prices'; after Ctrl-C to that of their first point."""
    from dtkd_opt.methods.bounding import price_bound
    from dtkd_opt.pricing.bundle import MAX_STEPS  # solvers, only when used

    def prices(search: Search, seed: int) -> Termination:
        price_bound(search, max_steps=0 if termination == "interrupted" else MAX_STEPS)
        return "heuristic_end"

    end, explanation = _attempt("prices", prices, search, 0)
    if end in ("infeasible", "interrupted"):
        return end, explanation or reason
    if termination == "heuristic_end" and search.proven:
        return "gap_reached", reason
    return termination, reason or explanation

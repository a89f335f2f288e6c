"""Write the algebraic model of an instance for any other solver."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from dtkd_opt.errors import DtkdError, UsageError
from dtkd_opt.methods.search import NoPlanError, Search
from dtkd_opt.methods.stop import Stop, TimeIsUp, check_limits
from dtkd_opt.pricing.equal_shares import without_absurd_options
from dtkd_opt.problem.options import Options, build_options
from dtkd_opt.records.arguments import as_choice, as_file
from dtkd_opt.records.files import write_atomic, writing
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.leftovers import temporary_folder
from dtkd_opt.records.outputs import check_writable

TOLERANCE = 1e-6  # relative, of the optimum of what is linear
Format = Literal["nl", "lp", "mps"]
Formulation = Literal["minlp", "perspective"]


def export(
    instance: Instance,
    path: str | Path,
    format: Format = "nl",
    formulation: Formulation | None = None,
    *,
    time_limit: float | None = None,
) -> float | None:
    """Write an instance's model to a file.

    Parameters
    ----------
    instance, path
        What to write, and where; the file is written atomically, "-" is standard output.
    format
        ``nl``: the nonlinear model, if convex without options that alone cost more than a whole
        plan. ``lp`` and ``mps``: the MILP with the tangents that `exact`
        needed to close its gap, so that its optimum is J's to that gap (1e-6), without the options
        that prices rule out: solvers' tolerances may use what costs far too much.
    formulation
        For ``nl``: ``perspective`` (default), convex: global solvers, and convex ones that
        assume convexity, reach the same optimum; or ``minlp``, the problem as stated.
    time_limit
        Seconds for collecting the tangents of ``lp`` and ``mps``; fewer leave a looser relaxation.

    Returns
    -------
    float or None
        Of ``lp`` and ``mps`` the relative gap that the tangents reached.

    Raises
    ------
    UsageError
        Unknown format, or a formulation that the format cannot hold.
    InfeasibleError
        When a user has no feasible option, or (``lp``, ``mps``) no choice keeps all limits.
    NoPlanError
        When the time limit came before any plan to place tangents at (``lp``, ``mps``).
    """
    file = as_file(path)
    as_choice(format, ("nl", "lp", "mps"), "there is no format")
    if formulation is not None:
        as_choice(formulation, ("minlp", "perspective"), "there is no formulation")
    if format != "nl" and formulation == "minlp":
        raise UsageError(f"{format} holds linear models only; leave the formulation away")
    stop = check_limits(TOLERANCE, time_limit)
    if time_limit is not None and format == "nl":
        raise UsageError("time_limit belongs to lp and mps, which solve the problem")
    check_writable(file)
    import pyomo.environ  # noqa: F401 - registers the writers

    from dtkd_opt.formulations import minlp, perspective

    options = build_options(instance)  # raises with the reason where a user has no option
    model: Any
    gap: float | None = None
    if format != "nl":
        model, gap = _linear(instance, options, stop)
    elif formulation == "minlp":
        model = minlp.build(instance)
    else:
        model = perspective.build_nonlinear(without_absurd_options(options))
    with temporary_folder() as folder:
        written = folder / f"model.{format}"
        with writing(written):
            model.write(str(written))
        write_atomic(file, written.read_bytes())
    return gap


def _linear(instance: Instance, options: Options, stop: Stop) -> tuple[Any, float]:
    """The MILP that `exact` ended with, with all tangents, and its gap."""
    from dtkd_opt.methods.bounding import price_and_round
    from dtkd_opt.methods.exact import Exact, OuterApproximation, unfixed_options

    search = Search(instance, options, stop)
    loop: OuterApproximation | None = None
    try:
        point = price_and_round(search, prove=False)
        has_plan = search.incumbent is not None
        rows = unfixed_options(search, point) if has_plan else np.arange(len(options))
        loop = OuterApproximation(search, point, rows, 0, Exact(), unit_s=1.0)
        termination = loop.run()
    except ArithmeticError as error:
        raise DtkdError(f"{instance.name}: no linear model of it: {error}; export nl") from error
    except TimeIsUp:
        termination = "time_limit"
    if loop is None:
        raise DtkdError(
            f"{instance.name}: the time limit came before the model was built; allow more time"
        )
    if termination == "interrupted":
        raise KeyboardInterrupt
    if search.incumbent is None:
        raise NoPlanError(
            f"{instance.name}: found no feasible plan to place tangents at before it stopped; "
            "allow more time"
        )
    return loop.master.model, search.gap

"""`solve` and `check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from dtkd_opt.commands.console import FILE, printing, say
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.files import write_atomic
from dtkd_opt.methods import METHODS

_EXACT = ("no_fixing", "mip_rel_gap", "threads", "highs_log")


@click.command()
@click.argument("instance", type=FILE)
@click.option("--method", default="auto", show_default=True, help=f"{', '.join(METHODS)}.")
@click.option("--gap", default=1e-6, show_default=True, help="Relative gap to prove.")
@click.option("--time-limit", type=float, help="Seconds; the best plan found is kept.")
@click.option("--iterations", type=int, help="Limit of the method's own rounds.")
@click.option("--seed", default=0, show_default=True, help="Seed of all randomness.")
@click.option("--output", type=FILE, help="Solution file. [default: ./NAME.solution.json]")
@click.option("--no-fixing", is_flag=True, help="exact: HiGHS alone proves, on all options.")
@click.option("--mip-rel-gap", type=float, help="exact: HiGHS's own gap. [default: gap / 2]")
@click.option(
    "--threads",
    type=click.IntRange(0, 256),
    help="exact: HiGHS's threads. [default: HiGHS decides]",
)
@click.option("--highs-log", type=FILE, help="exact: write HiGHS's log to this file.")
def solve(instance: Path, method: str, output: Path | None, **given: Any) -> None:
    """Solve INSTANCE, print a summary and write the solution file.

    Ctrl-C and the time limit keep the best plan found so far, with a valid bound.

    \b
    Example:
      dtkd-opt solve instances/n50.json --gap 1e-6 --output n50.solution.json
    """
    method, params = _exact_params(method, {name: given.pop(name) for name in _EXACT})
    from dtkd_opt.instance import read_instance
    from dtkd_opt.interrupts import KeepOnCtrlC
    from dtkd_opt.report import LiveLine, print_summary
    from dtkd_opt.solution import write_solution
    from dtkd_opt.solve import solve as run

    problem = read_instance(instance)
    if params is not None and params.highs.log_file:
        write_atomic(Path(params.highs.log_file), b"")  # HiGHS would ignore an impossible path
    output = output or Path(f"{instance.stem}.solution.json")
    with KeepOnCtrlC() as ctrl_c:
        with LiveLine() as watch:
            result = run(problem, method, params=params, watch=watch, **given)
        ctrl_c.finish()
        written = write_solution(result.solution, output)
    with printing():
        print_summary(result)
    say(f"written: {' and '.join(map(str, written))}")
    if result.incumbent is None:
        click.echo(result.reason, err=True)
        sys.exit(3)


def _exact_params(method: str, given: dict[str, Any]) -> tuple[str, Any]:
    """The method, which is `exact` where `auto` got options of it, and its ExactParams or None."""
    given = {name: value for name, value in given.items() if value not in (None, False)}
    if not given:
        return method, None
    from dtkd_opt.highs import HighsParams
    from dtkd_opt.methods import get_method
    from dtkd_opt.methods.exact import ExactParams

    method = "exact" if method == "auto" else method
    if get_method(method).params_type is not ExactParams:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{names} belongs to --method exact")
    fixing = not given.pop("no_fixing", False)
    if "highs_log" in given:
        given["log_file"] = str(given.pop("highs_log"))
    return method, ExactParams(fixing=fixing, highs=HighsParams(**given))


@click.command()
@click.argument("instance", type=FILE)
@click.argument("solution", type=FILE)
def check(instance: Path, solution: Path) -> None:
    """Recompute everything in SOLUTION from INSTANCE.

    Exit code 0 only if the plan is feasible and every figure in the file is true.

    \b
    Example:
      dtkd-opt check instances/n50.json n50.solution.json
    """
    from dtkd_opt.check import check as run
    from dtkd_opt.instance import read_instance
    from dtkd_opt.solution import read_solution

    problem, plan = read_instance(instance), read_solution(solution)
    faults = run(problem, plan)
    if faults:
        raise InputError(str(solution), faults)
    gap = "no bound" if plan.gap is None else f"claimed gap {plan.gap:.1e}"
    say(
        f"{solution}: feasible and true for {problem.name}; "
        f"J = {plan.incumbent_objective:.6f} s, {gap} (the bound itself is not verified)"
    )

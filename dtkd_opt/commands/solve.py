"""`solve` and `check`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from dtkd_opt.commands.console import (
    FILE,
    NUMBER,
    FiniteNumber,
    default_output,
    gap_option,
    print_line,
    printing,
    say,
    write,
)
from dtkd_opt.commands.settings import SETTINGS, given_settings, settings_tables
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.methods.registry import METHODS
from dtkd_opt.records.files import write_atomic
from dtkd_opt.records.outputs import check_files, with_table
from dtkd_opt.records.streams import DASH, source_name


@click.command()
@click.argument("instance", type=FILE)
@click.option("--method", default="auto", show_default=True,
              help=f"{', '.join(METHODS)}, another package's, or a table of --params.")  # fmt: skip
@gap_option
@click.option("--time-limit", type=NUMBER, help="Seconds; the best plan found is kept.")
@click.option("--iterations", type=int, help="Limit of the method's own rounds.")
@click.option("--seed", default=0, show_default=True, help="Seed of all randomness.")
@click.option("--output", type=FILE, help="Solution file. [default: ./NAME.solution.json]")
@click.option("--no-fixing", is_flag=True, help="exact: HiGHS alone proves, on all options.")
@click.option(
    "--mip-rel-gap", type=FiniteNumber(0), help="exact: HiGHS's own gap. [default: gap / 2]"
)
@click.option(
    "--threads",
    type=click.IntRange(0, 256),
    help="exact: HiGHS's threads. [default: HiGHS decides]",
)
@click.option("--highs-log", type=FILE, help="exact: write HiGHS's log to this file.")
@click.option("--cold", is_flag=True, help="q-learning: learn from nothing, not from prices.")
@click.option("--params", type=FILE, help="Settings of methods, a TOML table each.")
def solve(
    instance: Path, method: str, output: Path | None, params: Path | None, **given: Any
) -> None:
    """Solve INSTANCE, print a summary and write the solution file.

    Ctrl-C and the time limit keep the best plan found so far, with a valid bound.

    \b
    Example:
      dtkd-opt solve instances/n50.json --gap 1e-6 --output n50.solution.json
    """
    output = output or default_output(instance, "solution.json")
    reads = [instance] if params is None else [instance, params]
    check_files(reads)
    chosen = _method(method, params, {name: given.pop(name) for name in SETTINGS})
    log, networks = _files(chosen)
    check_files([*reads, *networks], [*with_table(output), *log])
    from dtkd_opt.methods.solve import solve as run
    from dtkd_opt.records.instance import read_instance
    from dtkd_opt.records.solution import write_solution
    from dtkd_opt.reporting.summary import live_line, print_tables, summary
    from dtkd_opt.runtime.interrupts import KeepOnCtrlC

    problem = read_instance(instance)
    for path in log:
        write_atomic(path, b"")  # not what an older run has written: HiGHS appends
    with KeepOnCtrlC() as ctrl_c:
        with live_line() as show:
            result = run(problem, chosen, callback=show, **given)
        if result.incumbent is None and result.solution.termination == "interrupted":
            raise KeyboardInterrupt  # an older plan is worth more than none
        ctrl_c.finish()
        line = write(partial(write_solution, result.solution), output)
        with printing(output):  # also where a second Ctrl-C comes: the plan is written, and says so
            print_tables(summary(problem, result.solution, result.prices))
        print_line(line, output)
    if result.reason:
        say(result.reason, err=True)
    if result.incumbent is None:
        sys.exit(3)


def _method(method: str, file: Path | None, given: dict[str, Any]) -> Any:
    """The method's name, or with its settings itself; `auto` is the method of the options given."""
    given = given_settings(given)
    if not given and file is None:
        return method
    from dtkd_opt.methods.registry import make_method
    from dtkd_opt.methods.settings import find_settings

    owners = {SETTINGS[name][0] for name in given}
    if method == "auto" and len(owners) == 1:
        (method,) = owners
    tables = settings_tables([method], file, given)
    name, settings = find_settings(method, tables)
    label = method if method in tables else name  # `auto` has none
    return make_method(name, settings, f"{file} [{label}]" if file else "options")


def _files(method: Any) -> tuple[list[Path], list[Path]]:
    """What a method's settings name: the log that HiGHS writes, and the network that is read."""
    log = getattr(getattr(method, "highs", None), "log_file", "")
    if log == str(DASH):
        raise UsageError("HiGHS's log goes to a file; name one, such as /dev/stderr")
    network = getattr(method, "network", None)
    networks = [] if network is None else [network, network.with_suffix(".safetensors")]
    return [Path(log)] if log else [], networks


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
    check_files([instance, solution])
    from dtkd_opt.proof.check import check as run
    from dtkd_opt.records.instance import read_instance
    from dtkd_opt.records.solution import read_solution

    problem, plan = read_instance(instance), read_solution(solution)
    if faults := run(problem, plan):
        raise InputError(source_name(solution), faults)
    gap = "no bound" if plan.gap is None else f"claimed gap {plan.gap:.1e}"
    print_line(
        f"{source_name(solution)}: feasible and true for {problem.name}; "
        f"J = {plan.incumbent_objective:.6f} s, {gap} (the bound itself is not verified)"
    )

"""The command line. Commands import what they need when they run, so that --help is quick."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from dtkd_opt import __version__
from dtkd_opt.errors import DtkdError, InputError, UsageError
from dtkd_opt.files import write_atomic
from dtkd_opt.methods import METHODS

FILE = click.Path(path_type=Path)
_EXACT = ("no_fixing", "mip_rel_gap", "threads", "highs_log")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="dtkd-opt")
def cli() -> None:
    """Proven plans for digital-twin-assisted knowledge distillation.

    \b
    Example:
      dtkd-opt solve instances/n50.json
      dtkd-opt check instances/n50.json n50.solution.json
    """


@cli.command()
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


@cli.command()
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


@cli.command()
@click.argument("instance", type=FILE)
@click.argument("certificate", metavar="CERT", type=FILE)
@click.option(
    "--arithmetic",
    type=click.Choice(["balls", "arrays"]),
    help="Arb's balls, or outward-rounded doubles. [default: balls up to 10,000 users]",
)
def verify(instance: Path, certificate: Path, arithmetic: Any) -> None:
    """Check the certificate CERT of INSTANCE with independent, rigorous arithmetic.

    Exit code 0 only if all that it claims is proven: the plan is feasible and costs no more than
    the objective, no plan costs less than the bound, and the gap is no wider than said.

    \b
    Example:
      dtkd-opt verify instances/n50.json n50.certificate.json
    """
    from dtkd_opt.certificate import read_certificate
    from dtkd_opt.instance import read_instance
    from dtkd_opt.verify import arithmetic_for
    from dtkd_opt.verify import verify as run

    problem, claim = read_instance(instance), read_certificate(certificate)
    arithmetic = arithmetic or arithmetic_for(problem)
    faults = run(problem, claim, arithmetic=arithmetic)
    if faults:
        raise InputError(str(certificate), faults)
    say(
        f"{certificate}: proven for {problem.name}: a plan of J ≤ {claim.objective} s, "
        f"none below {claim.bound} s, gap ≤ {claim.gap:.2e} "
        f"(leaves: {claim.n_leaves}, arithmetic: {arithmetic})"
    )


@cli.command()
@click.argument("instance", type=FILE)
@click.argument("solution", type=FILE)
@click.option("--target", default=1e-6, show_default=True, help="Relative gap to prove.")
@click.option("--time-limit", type=float, help="Seconds; what was proven by then is certified.")
@click.option("--output", type=FILE, help="Certificate. [default: ./NAME.certificate.json]")
def certify(
    instance: Path, solution: Path, target: float, time_limit: float | None, output: Path | None
) -> None:
    """Prove how far SOLUTION, whoever made it, is from the best plan for INSTANCE.

    Writes a certificate that `dtkd-opt verify` checks without any solver.

    \b
    Example:
      dtkd-opt certify instances/n50.json n50.solution.json --target 1e-6
    """
    from dtkd_opt.certificate import write_certificate
    from dtkd_opt.certify import certify as run
    from dtkd_opt.instance import read_instance
    from dtkd_opt.report import LiveLine
    from dtkd_opt.solution import read_solution

    problem, plan = read_instance(instance), read_solution(solution)
    output = output or Path(f"{instance.stem}.certificate.json")
    with LiveLine() as watch:
        try:
            proof = run(problem, plan, target=target, time_limit=time_limit, watch=watch)
        except InputError as error:
            raise InputError(str(solution), error.faults) from None
    write_certificate(proof, output)
    say(
        f"{solution}: feasible for {problem.name}; J = {proof.objective:.6f} s, no plan is better "
        f"than {proof.bound:.6f} s: gap at most {proof.gap:.1e} ({proof.n_leaves} priced cases)"
    )
    say(f"written: {output}")


@cli.command()
@click.option("--users", type=int, required=True, help="How many users.")
@click.option("--servers", default=1, show_default=True, help="How many edge servers.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same instance.")
@click.option("--output", type=FILE, required=True, help="Instance file to write.")
@click.option("--name", help="The instance's name. [default: n<users>[-s<servers>]]")
@click.option("--epochs", type=int, help="Training epochs. [default: 40]")
@click.option("--seconds-per-error", type=float, help="Price of one unit of error. [default: 100]")
@click.option("--reach", type=int, help="Servers that each user reaches. [default: 2]")
@click.option("--deadlines", type=float, help="Share of users with a deadline, 0 to 1.")
@click.option("--energy-budgets", type=float, help="Share of users with an energy budget, 0 to 1.")
@click.option("--accuracy-floors", type=float, help="Share of users with min_accuracy, 0 to 1.")
def generate(
    users: int, servers: int, seed: int, output: Path, name: str | None, **params: Any
) -> None:
    """Write a realistic random instance; parameters and sources are in instances/README.md.

    \b
    Example:
      dtkd-opt generate --users 50 --servers 3 --deadlines 0.5 --output my.json
    """
    from dtkd_opt.generate import GeneratorParams, generate_instance
    from dtkd_opt.instance import write_instance

    given = {key: value for key, value in params.items() if value is not None}
    instance = generate_instance(users, servers, seed, GeneratorParams(**given), name)
    written = write_instance(instance, output)
    say(f"written: {' and '.join(map(str, written))} ({instance.description})")


@cli.command()
@click.argument("instance", type=FILE)
@click.option("--format", "format_", type=click.Choice(["nl", "lp", "mps"]), required=True)
@click.option("--output", type=FILE, required=True, help="Model file to write.")
@click.option(
    "--formulation",
    type=click.Choice(["minlp", "perspective"]),
    help="nl: as stated, or convex. [default: perspective]",
)
@click.option("--time-limit", type=float, help="lp, mps: seconds for collecting tangents.")
def export(
    instance: Path, format_: Any, output: Path, formulation: Any, time_limit: float | None
) -> None:
    """Write the algebraic model of INSTANCE for any other solver.

    nl holds the nonlinear model; lp and mps hold the MILP with the tangents that `exact` needed,
    so that its optimum is J's to 1e-6.

    \b
    Example:
      dtkd-opt export instances/n20.json --format nl --output n20.nl
    """
    from dtkd_opt.export import export as run
    from dtkd_opt.instance import read_instance

    gap = run(read_instance(instance), output, format_, formulation, time_limit=time_limit)
    exactness = "" if gap is None else f" (its optimum is J's to a relative {gap:.1e})"
    say(f"written: {output}{exactness}")


@contextmanager
def printing() -> Iterator[None]:
    """For results: a reader that has seen enough (`| head`) ends nothing.

    Raises
    ------
    InputError
        When standard output takes no more, such as on a full disk.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _close_stdout()
    except OSError as error:
        _close_stdout()
        fault = f"cannot be written: {error.strerror or error}"
        raise InputError("standard output", [fault]) from None


def say(text: str) -> None:
    """Print one line of a result."""
    with printing():
        click.echo(text)


def _close_stdout() -> None:
    """Let what is still in its buffer go nowhere: Python writes it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the command line; errors in the user's words, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # names may hold what a terminal does not know
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; nothing was written", err=True)
        sys.exit(1)
    except DtkdError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)

"""`certify` and `verify`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dtkd_opt.commands.console import FILE, NUMBER, default_output, print_line, write
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.records.outputs import check_files, with_table
from dtkd_opt.records.streams import source_name

if TYPE_CHECKING:
    from dtkd_opt.records.instance import Instance


@click.command()
@click.argument("instance", type=FILE)
@click.argument("solution", type=FILE)
@click.option(
    "--target", type=NUMBER, default=1e-6, show_default=True, help="Relative gap to prove."
)
@click.option("--time-limit", type=NUMBER, help="Seconds; what was proven by then is certified.")
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
    output = output or default_output(instance, "certificate.json")
    check_files([instance, solution], with_table(output, ".incumbent"))
    from dtkd_opt.proof.certify import certify as run
    from dtkd_opt.records.certificate import write_certificate
    from dtkd_opt.records.instance import read_instance
    from dtkd_opt.records.solution import read_solution
    from dtkd_opt.reporting.summary import live_line
    from dtkd_opt.runtime.interrupts import KeepOnCtrlC

    problem, plan = read_instance(instance), read_solution(solution)
    with KeepOnCtrlC() as ctrl_c:
        with live_line() as show:
            try:
                proof = run(problem, plan, target=target, time_limit=time_limit, callback=show)
            except UsageError:
                raise
            except InputError as error:  # of the plan
                raise InputError(source_name(solution), error.faults) from None
        ctrl_c.finish()
        line = write(partial(write_certificate, proof), output)
        print_line(
            f"{source_name(solution)}: feasible for {problem.name}; J = {proof.objective:.6f} s, "
            f"no plan is better than {proof.bound:.6f} s: gap at most {proof.gap:.1e} "
            f"({proof.n_leaves} priced cases)",
            output,
        )
        print_line(f"{line} ({_checked(problem)})", output)


def _checked(instance: Instance) -> str:
    """Whether `certify` has verified what it wrote."""
    from dtkd_opt.proof.verify import arithmetic_for, can_verify

    if can_verify(instance):
        return f"verified, arithmetic: {arithmetic_for(instance)}"
    return 'not verified: that needs python-flint, pip install "dtkd-opt[verify]"'


@click.command()
@click.argument("instance", type=FILE)
@click.argument("certificate", metavar="CERT", type=FILE)
@click.option("--arithmetic", type=click.Choice(["balls", "arrays"]),
              help="Arb's balls, or rounded doubles. [default: balls to 10,000 users]")  # fmt: skip
def verify(instance: Path, certificate: Path, arithmetic: Any) -> None:
    """Check the certificate CERT of INSTANCE with independent, rigorous arithmetic.

    Exit code 0 only if all that it claims is proven: the plan is feasible and costs no more than
    the objective, no plan costs less than the bound, and the gap is no wider than stated.

    \b
    Example:
      dtkd-opt verify instances/n50.json n50.certificate.json
    """
    check_files([instance, certificate])
    from dtkd_opt.proof.verify import arithmetic_for
    from dtkd_opt.proof.verify import verify as run
    from dtkd_opt.records.certificate import read_certificate
    from dtkd_opt.records.instance import read_instance

    problem, proof = read_instance(instance), read_certificate(certificate)
    arithmetic = arithmetic or arithmetic_for(problem)
    if faults := run(problem, proof, arithmetic=arithmetic):
        raise InputError(source_name(certificate), faults)
    print_line(
        f"{source_name(certificate)}: proven for {problem.name}: "
        f"a plan of J ≤ {proof.objective} s, none below {proof.bound} s, gap ≤ {proof.gap:.2e} "
        f"(leaves: {proof.n_leaves}, arithmetic: {arithmetic})"
    )

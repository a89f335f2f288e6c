"""`certify` and `verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dtkd_opt.commands.console import FILE, NUMBER, print_line
from dtkd_opt.errors import InputError, UsageError


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
    from dtkd_opt.proof.certify import certify as run
    from dtkd_opt.records.certificate import write_certificate
    from dtkd_opt.records.instance import read_instance
    from dtkd_opt.records.solution import read_solution
    from dtkd_opt.reporting.summary import live_line

    problem, plan = read_instance(instance), read_solution(solution)
    output = output or Path(f"{instance.stem}.certificate.json")
    with live_line() as show:
        try:
            proof = run(problem, plan, target=target, time_limit=time_limit, callback=show)
        except UsageError:
            raise
        except InputError as error:  # of the plan
            raise InputError(str(solution), error.faults) from None
    write_certificate(proof, output)
    print_line(
        f"{solution}: feasible for {problem.name}; J = {proof.objective:.6f} s, no plan is better "
        f"than {proof.bound:.6f} s: gap at most {proof.gap:.1e} ({proof.n_leaves} priced cases)"
    )
    print_line(f"written: {output}")


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
    from dtkd_opt.proof.verify import arithmetic_for
    from dtkd_opt.proof.verify import verify as run
    from dtkd_opt.records.certificate import read_certificate
    from dtkd_opt.records.instance import read_instance

    problem, proof = read_instance(instance), read_certificate(certificate)
    arithmetic = arithmetic or arithmetic_for(problem)
    if faults := run(problem, proof, arithmetic=arithmetic):
        raise InputError(str(certificate), faults)
    print_line(
        f"{certificate}: proven for {problem.name}: a plan of J ≤ {proof.objective} s, "
        f"none below {proof.bound} s, gap ≤ {proof.gap:.2e} "
        f"(leaves: {proof.n_leaves}, arithmetic: {arithmetic})"
    )

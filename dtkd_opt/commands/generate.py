"""`generate` and `export`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from dtkd_opt.commands.console import FILE, NUMBER, make_record, print_line, printing, write
from dtkd_opt.errors import DtkdError
from dtkd_opt.records.outputs import check_files, with_table
from dtkd_opt.records.streams import target_name


@click.command()
@click.option("--users", type=int, required=True, help="How many users.")
@click.option("--servers", default=1, show_default=True, help="How many edge servers.")
@click.option("--seed", default=0, show_default=True, help="Same seed, same instance.")
@click.option("--output", type=FILE, required=True, help="Instance file to write.")
@click.option("--name", help="The instance's name. [default: n<users>[-s<servers>]]")
@click.option("--seconds-per-error", type=NUMBER, help="Price of one unit of error. [default: 100]")
@click.option("--reach", type=int, help="Servers that each user reaches. [default: 2]")
@click.option("--deadlines", type=NUMBER, help="Share of users with a deadline, 0 to 1.")
@click.option("--energy-budgets", type=NUMBER, help="Share of users with an energy budget, 0 to 1.")
@click.option("--accuracy-floors", type=NUMBER, help="Share of users with min_accuracy, 0 to 1.")
@click.option("--models", type=FILE,
              help="Accuracy table of students and task. [default: the shipped one]")  # fmt: skip
@click.option("--accuracy", type=click.Choice(["mean", "lower95", "fitted"]), default="mean",
              show_default=True, help="What of the table: see `calibrate`.")  # fmt: skip
def generate(
    users: int, servers: int, seed: int, output: Path, name: str | None, models: Path | None,
    accuracy: Any, **settings: Any,
) -> None:  # fmt: skip
    """Write a realistic random instance; parameters and sources are in instances/README.md.

    Students, their accuracies and the epochs are those of an accuracy table: the one that
    `calibrate` made on Fashion-MNIST and that is shipped, or yours.

    \b
    Example:
      dtkd-opt generate --users 50 --servers 3 --deadlines 0.5 --output my.json
      dtkd-opt generate --users 50 --models fashion-mnist.json --output my.json
    """
    check_files([] if models is None else [models], with_table(output))
    from dtkd_opt.problem.generate import GeneratorSettings, generate_instance
    from dtkd_opt.records.calibration import read_calibration
    from dtkd_opt.records.instance import write_instance

    given = make_record(GeneratorSettings, settings)
    calibration = None if models is None else read_calibration(models)
    instance = generate_instance(users, servers, seed, given, name, calibration, accuracy)
    line = write(partial(write_instance, instance), output)
    print_line(f"{line} ({instance.description})", output)


@click.command()
@click.argument("instance", type=FILE)
@click.option("--format", "format_", type=click.Choice(["nl", "lp", "mps"]), required=True)
@click.option("--output", type=FILE, required=True, help="Model file to write.")
@click.option("--formulation", type=click.Choice(["minlp", "perspective"]),
              help="nl: as stated, or convex. [default: perspective]")  # fmt: skip
@click.option("--time-limit", type=NUMBER, help="lp, mps: seconds for collecting tangents.")
def export(
    instance: Path, format_: Any, output: Path, formulation: Any, time_limit: float | None
) -> None:
    """Write the algebraic model of INSTANCE for any other solver.

    nl holds the nonlinear model; lp and mps hold the MILP with the tangents that `exact` needed,
    so that its optimum is J's to 1e-6; where they are too few, that is said, with exit code 1.

    \b
    Example:
      dtkd-opt export instances/n20.json --format nl --output n20.nl
    """
    check_files([instance], [output])
    from dtkd_opt.analysis.export import TOLERANCE
    from dtkd_opt.analysis.export import export as run
    from dtkd_opt.records.instance import read_instance

    problem, gap = read_instance(instance), None
    with printing():
        gap = run(problem, output, format_, formulation, time_limit=time_limit)
    exactness = "" if gap is None else f" (its optimum is J's to a relative {gap:.1e})"
    print_line(f"written: {target_name(output)}{exactness}", output)
    if gap is not None and gap > TOLERANCE:
        raise DtkdError(
            f"{target_name(output)}: its optimum may lie a relative {gap:.1e} below J, more than "
            f"the promised {TOLERANCE:g}; allow more time for collecting tangents (--time-limit)"
        )

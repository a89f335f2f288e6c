"""`federate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from dtkd_opt.commands import console
from dtkd_opt.federation.spec import Engine
from dtkd_opt.records.outputs import check_folder
from dtkd_opt.records.result_files import FEDERATION, FEDERATION_JOURNAL

if TYPE_CHECKING:
    from dtkd_opt.federation import Federation


@click.command()
@click.argument("instance", type=console.FILE)
@click.argument("solution", type=console.FILE)
@console.data_option
@console.data_dir_option
@click.option("--partition", default="iid", show_default=True, help="iid, or dirichlet(ALPHA).")
@click.option("--seed", default=0, show_default=True, help="Of samples and trainings.")
@click.option(
    "--table",
    "calibration",
    type=console.FILE,
    help="Accuracy table whose learning rates are used. "
    "[default: the shipped one, if INSTANCE and --data are of it]",
)
@click.option(
    "--engine",
    type=click.Choice(get_args(Engine)),
    default="in-process",
    show_default=True,
    help="Processes here, Flower's SuperNodes, or its simulation.",
)
@console.jobs_option
@console.cache_option
@click.option("--strict", is_flag=True, help="Train nobody where one user cannot be trained.")
@click.option("--resume", is_flag=True, help="Go on with the users in --output.")
@click.option("--output", type=console.FOLDER, required=True, help="Folder for the results.")
def federate(
    instance: Path,
    solution: Path,
    calibration: Path | None,
    output: Path,
    resume: bool,
    **options: Any,
) -> None:
    """Carry SOLUTION out: train each user's student where it says, on real data.

    Every user gets its private samples; its twin mirrors all but the fresh ones, and the teacher
    is trained on what the twins mirror. Each student is distilled from the data at its place, and
    device and server exchange only what the plan counts. Delays are the delay model's.

    A user that fails, or whose samples are too few or of one class, is named with the reason, and
    the others are trained: exit code 1 then, 0 when all were. Each user is saved when its training
    ends: after Ctrl-C (exit code 130) or any other stop, the same command with --resume goes on and
    trains failed users again.

    \b
    In DIR: users.csv, gantt.svg, accuracy.svg, summary.md, and users.jsonl (what --resume needs).

    \b
    Example:
      dtkd-opt solve instances/n10.json --output n10.solution.json
      dtkd-opt federate instances/n10.json n10.solution.json --output n10.federation
      dtkd-opt federate my.json my.solution.json --data fashion-mnist --table fashion-mnist.json \\
        --partition "dirichlet(0.3)" --engine flower --output my.federation
    """
    reads = [instance, solution, *([calibration] if calibration else [])]
    reads += console.data_files(options["data"])
    check_folder(output, (FEDERATION_JOURNAL, *FEDERATION), reads)
    from dtkd_opt.federation import FederationSpec
    from dtkd_opt.federation import federate as run
    from dtkd_opt.records.calibration import read_calibration
    from dtkd_opt.records.instance import read_instance
    from dtkd_opt.records.solution import read_solution
    from dtkd_opt.runtime.interrupts import KeepOnCtrlC

    note = "; users that are done are kept, --resume goes on"
    with console.exit_when_stopped(note), KeepOnCtrlC() as ctrl_c:
        problem, plan = read_instance(instance), read_solution(solution)
        measured = None if calibration is None else read_calibration(calibration)
        spec = console.make_record(FederationSpec, options | {"calibration": measured})
        named = console.naming_files(instance=instance, solution=solution)
        with named, console.progress_bar() as callback:
            result = run(problem, plan, spec, output=output, resume=resume, callback=callback)
        ctrl_c.finish()
        if result.interrupted:
            raise KeyboardInterrupt
        _print(result, output)
    if len(result.failed):
        sys.exit(1)


def _print(result: Federation, output: Path) -> None:
    files = [output / name for name in FEDERATION]
    for name, value in (
        ("users done", f"{len(result.done)} of {len(result.users)}"),
        ("predicted mean accuracy", f"{result.predicted_accuracy:.2%}"),
        ("realised mean accuracy", f"{result.realised_accuracy:.2%}"),
        ("total delay (s)", f"{result.total_delay_s:.2f}"),
    ):
        console.print_line(f"{name:25}{value:>12}")
    for note in result.notes:
        console.print_line(note)
    failed = [f"failed: {row.name}: {row.reason}" for row in result.failed.itertuples(index=False)]
    console.print_first(failed, files[0])
    console.print_line(f"written: {', '.join(map(str, files))}")

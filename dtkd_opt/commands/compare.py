"""`compare`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import click

from dtkd_opt.commands.console import FILE, printing
from dtkd_opt.commands.settings import given_settings, settings_tables

_INTERRUPTED = 130  # as shells have it: 128 + the signal's number
_SHOWN = 20  # lines about runs without a plan


@click.command()
@click.argument("instances", metavar="INSTANCE...", type=FILE, nargs=-1, required=True)
@click.option(
    "--method",
    "methods",
    multiple=True,
    required=True,
    help="Once for each: a method, see `solve`, or the name of a table of --params.",
)
@click.option("--seeds", default=3, show_default=True, help="How many seeds, from 0 on.")
@click.option("--gap", default=1e-6, show_default=True, help="Relative gap to prove.")
@click.option("--time-limit", type=float, help="Seconds for each run.")
@click.option("--iterations", type=int, help="Limit of a method's own rounds, for each run.")
@click.option("--cold", is_flag=True, help="q-learning: learn from nothing, not from prices.")
@click.option("--params", type=FILE, help="Settings of methods, a TOML table each.")
@click.option("--jobs", default=-1, help="Processes at once. [default: one a core]")
@click.option("--dask", metavar="ADDRESS", help="Run on the cluster of this Dask scheduler.")
@click.option("--output", type=FILE, required=True, help="Folder for the results.")
@click.option("--fresh", is_flag=True, help="Forget the runs that the folder holds.")
def compare(
    instances: tuple[Path, ...],
    output: Path,
    fresh: bool,
    cold: bool,
    params: Path | None,
    **given: Any,
) -> None:
    """Compare methods on every INSTANCE: objective, gap, accuracy, delay and time.

    Each run is checked like `dtkd-opt check` does before it counts, and kept in DIR/runs.jsonl as
    it ends. Stopped by Ctrl-C (exit code 130) or otherwise, the same command goes on with what is
    missing or failed. Methods without randomness run once a seed as well, for their times. Times
    are of one thread a run; workers of Dask must have --nthreads 1.

    The certified gap is what a run proved itself; the gap "to best bound" is against the best
    bound that any run proved of the instance. Exit code 1 when a run failed.

    A table of --params that names its method can be compared as a method of its own, beside that
    method with other settings; the second example takes this file:

    \b
      ["q-learning cold"]
      method = "q-learning"
      cold = true

    \b
    Example:
      dtkd-opt compare instances/n50.json instances/n40-s3.json \\
        --method price --method greedy --method random --seeds 5 --output comparison
      dtkd-opt compare instances/n50.json --params mine.toml \\
        --method q-learning --method "q-learning cold" --output cold
    """
    from dtkd_opt.analysis.compare import compare as run
    from dtkd_opt.analysis.compare.show import progress_bar
    from dtkd_opt.records.instance import read_instance
    from dtkd_opt.runtime.interrupts import KeepOnCtrlC

    given["settings"] = settings_tables(given["methods"], params, given_settings({"cold": cold}))
    problems = [read_instance(path) for path in instances]
    try:
        with KeepOnCtrlC() as ctrl_c:
            with progress_bar() as callback:
                comparison = run(
                    problems, output=output, resume=not fresh, callback=callback, **given
                )
            ctrl_c.finish()
            with printing():
                _print(comparison, output)
            if comparison.interrupted:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # until the workers have ended
        click.echo("interrupted; finished runs are kept, the same command goes on", err=True)
        sys.exit(_INTERRUPTED)
    if any(run.outcome == "failed" for run in comparison.records):
        sys.exit(1)


def _print(comparison: Any, output: Path) -> None:
    from dtkd_opt.analysis.compare.show import failure_lines, tables
    from dtkd_opt.reporting.summary import print_tables

    if not comparison.records:
        return
    print_tables(tables(comparison.summary))
    failures = failure_lines(comparison.records)
    for line in failures[:_SHOWN]:
        click.echo(line)
    if len(failures) > _SHOWN:
        click.echo(f"… and {len(failures) - _SHOWN} more in {output / 'runs.csv'}")
    names = ("runs.csv", "summary.csv", "gap_over_time.svg", "accuracy_delay.svg")
    click.echo(f"written: {', '.join(str(output / name) for name in names)}")

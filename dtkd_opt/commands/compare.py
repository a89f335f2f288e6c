"""`compare`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from dtkd_opt.commands import console
from dtkd_opt.commands.settings import given_settings, settings_tables
from dtkd_opt.records.outputs import check_folder
from dtkd_opt.records.result_files import COMPARISON, COMPARISON_JOURNAL


@click.command()
@click.argument("instances", metavar="INSTANCE...", type=console.FILE, nargs=-1, required=True)
@click.option("--method", "methods", multiple=True, required=True,
              help="Once for each: a method, see `solve`, or a table of --params.")  # fmt: skip
@click.option("--seeds", default=3, show_default=True, help="How many seeds, from 0 on.")
@console.gap_option
@click.option("--time-limit", type=console.NUMBER, help="Seconds for each run.")
@click.option("--iterations", type=int, help="Limit of a method's own rounds, for each run.")
@click.option("--cold", is_flag=True, help="q-learning: learn from nothing, not from prices.")
@click.option("--params", type=console.FILE, help="Settings of methods, a TOML table each.")
@console.jobs_option
@console.dask_option
@click.option("--output", type=console.FOLDER, required=True, help="Folder for the results.")
@click.option("--fresh", is_flag=True, help="Forget the runs that the folder holds.")
def compare(
    instances: tuple[Path, ...], output: Path, fresh: bool, cold: bool, params: Path | None,
    **given: Any,
) -> None:  # fmt: skip
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
    reads = instances if params is None else (*instances, params)
    check_folder(output, (COMPARISON_JOURNAL, *COMPARISON), reads)
    from dtkd_opt.analysis.compare import compare as run
    from dtkd_opt.records.instance import read_instance
    from dtkd_opt.runtime.interrupts import KeepOnCtrlC

    given["settings"] = settings_tables(given["methods"], params, given_settings({"cold": cold}))
    problems = [read_instance(path) for path in instances]
    note = "; finished runs are kept, the same command goes on"
    with console.exit_when_stopped(note), KeepOnCtrlC() as ctrl_c:
        with console.progress_bar() as progress:
            callback = partial(progress, "runs")
            comparison = run(problems, output=output, resume=not fresh, callback=callback, **given)
        ctrl_c.finish()
        with console.printing():
            _print(comparison, output)
        if comparison.interrupted:
            raise KeyboardInterrupt
    if any(run.outcome == "failed" for run in comparison.records):
        sys.exit(1)


def _print(comparison: Any, output: Path) -> None:
    from dtkd_opt.analysis.compare.show import failure_lines, summary_tables
    from dtkd_opt.reporting.summary import print_tables

    if not comparison.records:
        return
    print_tables(summary_tables(comparison.summary))
    console.print_first(failure_lines(comparison.records), output / "runs.csv", err=False)
    console.print_line(f"written: {', '.join(str(output / name) for name in COMPARISON)}")

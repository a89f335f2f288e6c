"""`pareto`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dtkd_opt.commands import console
from dtkd_opt.commands.console import FILE, NUMBER
from dtkd_opt.records.outputs import check_files

if TYPE_CHECKING:
    from rich.table import Table

    from dtkd_opt.analysis.pareto import ParetoFront


_OLD_NAMES = {"least": "min-weight", "most": "max-weight"}


@click.command(context_settings={"token_normalize_func": lambda name: _OLD_NAMES.get(name, name)})
@click.argument("instance", type=FILE)
@click.option("--points", default=25, show_default=True, help="How many weights, 2 or more.")
@click.option("--min-weight", type=NUMBER, help="Smallest weight. [default: the instance's / 10]")
@click.option("--max-weight", type=NUMBER, help="Largest weight. [default: the instance's * 10]")
@click.option(
    "--gap", type=NUMBER, default=1e-6, show_default=True, help="Relative gap to prove, each."
)
@click.option("--time-limit", type=NUMBER, help="Seconds for each weight.")
@click.option("--beside", type=FILE, multiple=True, help="Solution file to draw too; repeatable.")
@click.option(
    "--output", type=FILE, help="CSV file; the figure beside it. [default: ./NAME.pareto.csv]"
)
def pareto(instance: Path, beside: tuple[Path, ...], output: Path | None, **given: Any) -> None:
    """Prove the best plan for each of many weights ρ of the error.

    Writes the plans as CSV and a figure of accuracy against delay, with the region in which the
    bounds prove that no plan can be. Ctrl-C keeps the weights that are proven by then.

    \b
    Example:
      dtkd-opt solve instances/n50.json --method greedy --output greedy.json
      dtkd-opt pareto instances/n50.json --beside greedy.json --output n50.pareto.csv
    """
    output = output or console.default_output(instance, "pareto.csv")
    check_files([instance, *beside])
    from dtkd_opt.analysis.pareto import pareto as run
    from dtkd_opt.analysis.pareto_files import check_front, evaluate_plans, write_front
    from dtkd_opt.records.instance import read_instance
    from dtkd_opt.reporting.summary import live_line, print_tables
    from dtkd_opt.runtime.interrupts import KeepOnCtrlC

    check_front(output, [instance, *beside])
    problem = read_instance(instance)
    others = evaluate_plans(problem, beside)
    with KeepOnCtrlC() as ctrl_c:
        with live_line() as show:
            front = run(problem, callback=lambda n, of: show(f"weight {n + 1} of {of}"), **given)
        ctrl_c.finish()
        line = console.write(lambda path: write_front(front, path, others), output)
        with console.printing(output):
            print_tables([_table(front)])
        console.print_line(line, output)
    if len(front.results) < given["points"]:
        why = "interrupted" if front.interrupted else front.reason
        done = f"{len(front.results)} of {given['points']} weights are done"
        console.say(f"{why}; {done}", err=True)


def _table(front: ParetoFront) -> Table:
    """One line a weight."""
    from dtkd_opt.reporting.summary import make_table

    columns = {  # heading: column, format
        "weight ρ (s)": ("seconds_per_error", ".4g"),
        "accuracy": ("mean_accuracy", ".2%"),
        "total delay (s)": ("total_delay_s", ".2f"),
        "at the server": ("at_server", ""),
        "gap": ("gap", ".1e"),
    }
    cells = [front.frame[key].map(f"{{:{form}}}".format) for key, form in columns.values()]
    return make_table(front.instance.name, [], list(columns), zip(*cells, strict=True))

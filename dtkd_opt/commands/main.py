"""The command line. Commands import what they need when they run, so that --help is quick."""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from dtkd_opt.commands.calibrate import calibrate
from dtkd_opt.commands.certify import certify, verify
from dtkd_opt.commands.compare import compare
from dtkd_opt.commands.console import in_option_words
from dtkd_opt.commands.federate import federate
from dtkd_opt.commands.generate import export, generate
from dtkd_opt.commands.pareto import pareto
from dtkd_opt.commands.solve import check, solve
from dtkd_opt.commands.train_dqn import train_dqn
from dtkd_opt.errors import DtkdError, UsageError
from dtkd_opt.records.version import __version__


class _Commands(click.Group):
    """Commands that tell what is wrong with an option by the option's name."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            command = self.commands[ctx.invoked_subcommand or ""]
            raise UsageError(in_option_words(command, str(error))) from error


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="dtkd-opt")
def cli() -> None:
    """Proven plans for digital-twin-assisted knowledge distillation.

    \b
    Example:
      dtkd-opt solve instances/n50.json
      dtkd-opt check instances/n50.json n50.solution.json
    """


for command in (solve, check, certify, verify, generate, export):
    cli.add_command(command)
for command in (compare, pareto, calibrate, federate, train_dqn):
    cli.add_command(command)


def main() -> None:
    """Run the command line; errors in the user's words, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # names may hold what a terminal does not know
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:  # one line, not the usage before it
        click.echo(f"Error: {' '.join(error.format_message().split())}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; nothing was written", err=True)
        sys.exit(1)
    except DtkdError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)

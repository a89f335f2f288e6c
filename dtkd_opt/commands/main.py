"""The command line. Commands import what they need when they run, so that --help is quick."""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from dtkd_opt.commands import console
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
from dtkd_opt.runtime.interrupts import KeepOnCtrlC


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
    with KeepOnCtrlC(ends_process=True):
        code, words = _run()
        if words:
            console.say(words, err=True)
        try:
            if sys.stdout is not None:
                sys.stdout.flush()
        except OSError:  # has been told, or nobody reads
            console.close_stdout()
    if code:
        sys.exit(code)


def _run() -> tuple[int, str]:
    """The command's exit code, and what remains to be said about it."""
    stdout = sys.stdout
    try:
        cli.main(standalone_mode=False)
    except SystemExit as end:
        nobody_reads = sys.stdout is not stdout  # as of `--help | true`: click has replaced it
        return 0 if nobody_reads else int(end.code or 0), ""
    except click.exceptions.Exit as done:
        return done.exit_code, ""
    except click.exceptions.NoArgsIsHelpError as error:
        return error.exit_code, error.format_message()
    except click.ClickException as error:  # one line, not the usage before it
        return error.exit_code, f"Error: {' '.join(error.format_message().split())}"
    except (click.Abort, KeyboardInterrupt):
        return 1, "interrupted; nothing was written"
    except DtkdError as error:
        return error.exit_code, str(error)
    except OSError as error:  # of printing: what reads and writes files has words of its own
        return 1, f"standard output: cannot be written: {error.strerror or error}"
    return 0, ""

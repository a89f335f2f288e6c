"""What commands share: files as arguments, printing that survives `| head`, a bar of phases."""

from __future__ import annotations

import math
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.records.fields import Record
from dtkd_opt.runtime.runner import PhaseCallback


class FiniteNumber(click.types.FloatParamType):
    """A number, neither infinite nor NaN; whether it means something, its function says.

    With a `minimum` less than that is refused, too: where only a setting's record would say so.
    """

    def __init__(self, minimum: float = -math.inf):
        self._minimum = minimum

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; a wrong usage where it is none."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        if number < self._minimum:
            self.fail(f"{value!r} is less than {self._minimum:g}.", param, ctx)
        return number


FILE = click.Path(path_type=Path)
NUMBER = FiniteNumber()
_MAX_LINES = 20
R = TypeVar("R", bound=Record)

# options of several commands
data_option = click.option(
    "--data", default="digits", show_default=True, help="digits, fashion-mnist, or npz:FILE."
)
data_dir_option = click.option(
    "--data-dir", type=FILE, help="Folder of Fashion-MNIST. [default: Debian's]"
)
jobs_option = click.option("--jobs", default=-1, help="Processes at once. [default: one a core]")
dask_option = click.option(
    "--dask", metavar="ADDRESS", help="Run on the cluster of this Dask scheduler."
)
cache_option = click.option(
    "--cache", type=FILE, help="Folder of trained teachers. [default: ~/.cache/dtkd-opt]"
)
gap_option = click.option(
    "--gap", type=NUMBER, default=1e-6, show_default=True, help="Relative gap to prove."
)


def make_record(kind: type[R], options: Mapping[str, Any]) -> R:
    """A record of the options that were given; UsageError of what is wrong with them."""
    try:
        return kind(**{name: value for name, value in options.items() if value is not None})
    except InputError as error:
        raise UsageError("; ".join(error.faults)) from None


def in_option_words(command: click.Command, fault: str) -> str:
    """A fault that begins with the name of an argument, with that of the command's option."""
    for param in command.params:
        if isinstance(param, click.Option) and param.name:
            fault = re.sub(rf"(^|; ){param.name}(?=:? must )", rf"\1{param.opts[0]}", fault)
    return fault


@contextmanager
def printing() -> Iterator[None]:
    """For results: a reader that has seen enough (`| head`) ends nothing.

    InputError where standard output takes no more, such as on a full disk.
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


def print_line(text: str) -> None:
    """Print one line of a result."""
    with printing():
        click.echo(text)


def print_first(lines: Sequence[str], file: Path, *, err: bool = True) -> None:
    """Print the first 20 of lines about failures, and which file has the others."""
    for line in lines[:_MAX_LINES]:
        click.echo(line, err=err)
    if len(lines) > _MAX_LINES:
        click.echo(f"… and {len(lines) - _MAX_LINES} more in {file}", err=err)


@contextmanager
def exit_on_ctrl_c(note: str) -> Iterator[None]:
    """For work that is kept as it ends: KeyboardInterrupt prints a note and exits with code 130."""
    try:
        yield
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # until the workers have ended
        click.echo(f"interrupted{note}", err=True)
        sys.exit(128 + signal.SIGINT)  # as shells have it


def _close_stdout() -> None:
    """Let what is still in its buffer go nowhere: Python writes it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def progress_bar() -> Iterator[PhaseCallback]:
    """A bar on a terminal's standard error, and the callback that moves it."""
    from rich import progress as rich
    from rich.console import Console

    console = Console(stderr=True)
    columns = (
        rich.TextColumn("{task.description}"), rich.BarColumn(), rich.TaskProgressColumn(),
        rich.TimeElapsedColumn(), rich.TextColumn("left"), rich.TimeRemainingColumn(),
    )  # fmt: skip
    with rich.Progress(
        *columns, console=console, disable=not console.is_terminal, speed_estimate_period=1200
    ) as progress:
        phases: dict[str, Any] = {}

        def callback(phase: str, done: float, total: float) -> None:
            if phase not in phases:  # what was done before says nothing about the speed
                phases[phase] = progress.add_task(phase, total=total)
                progress.reset(phases[phase], completed=int(done))
            else:
                progress.update(phases[phase], completed=done, total=total)

        yield callback

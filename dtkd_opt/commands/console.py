"""What commands share: files as arguments, printing that survives `| head`, a bar of phases."""

from __future__ import annotations

import errno
import math
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Any, TypeVar

import click

from dtkd_opt.errors import InputError, UsageError, printable, printable_lines
from dtkd_opt.records.arguments import as_file, as_path
from dtkd_opt.records.fields import Record
from dtkd_opt.records.files import without_ending
from dtkd_opt.records.streams import DASH, is_stdout, source_name, target_name
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


class PathName(click.Path):
    """The name of a file, or of a folder; InputError, by the option, where it can be none."""

    def __init__(self, as_name: Callable[[Any, str], Path]):
        super().__init__(path_type=Path)
        self._as_name = as_name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        words = param.get_error_hint(ctx).strip("'") if param and ctx else "path"
        return self._as_name(value, words)


FILE, FOLDER = PathName(as_file), PathName(as_path)
STOPPED = 130  # exit code of work that --resume goes on with: of Ctrl-C, as shells have it
NUMBER = FiniteNumber()
_MAX_LINES = 20
R = TypeVar("R", bound=Record)

# options of several commands
data_option = click.option(
    "--data", default="digits", show_default=True, help="digits, fashion-mnist, or npz:FILE."
)
data_dir_option = click.option(
    "--data-dir", type=FOLDER, help="Folder of Fashion-MNIST. [default: Debian's]"
)
jobs_option = click.option("--jobs", default=-1, help="Processes at once. [default: one a core]")
dask_option = click.option(
    "--dask", metavar="ADDRESS", help="Run on the cluster of this Dask scheduler."
)
cache_option = click.option(
    "--cache", type=FOLDER, help="Folder of trained teachers. [default: ~/.cache/dtkd-opt]"
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


def data_files(data: str) -> list[Path]:
    """The file that `--data` names, if any."""
    return [Path(data.removeprefix("npz:"))] if data.startswith("npz:") else []


def default_output(path: Path, ending: str) -> Path:
    """The file in the current folder that is written for an input where no output is named."""
    name = "stdin" if path == DASH else without_ending(path).name
    return Path(f"{name}.{ending}")


def in_option_words(command: click.Command, fault: str) -> str:
    """A fault that begins with the name of an argument, with that of the command's option."""
    for param in command.params:
        if isinstance(param, click.Option) and param.name:
            fault = re.sub(
                rf"(^|; ){param.name}(\[\d+\])*(?=:? must )", rf"\1{param.opts[0]}", fault
            )
    return fault


@contextmanager
def printing(output: Path | None = None) -> Iterator[None]:
    """For results: a reader that has seen enough (`| head`) ends nothing.

    InputError where standard output takes no more, such as on a full disk. Where `output` has
    standard output to itself, words go to standard error.
    """
    taken = output is not None and is_stdout(output)
    with redirect_stdout(sys.stderr) if taken else nullcontext():
        try:
            yield
            if sys.stdout is not None:
                sys.stdout.flush()
        except OSError as error:
            nobody = nobody_reads(error)
            close_stdout()
            if nobody:
                return
            fault = f"cannot be written: {error.strerror or error}"
            raise InputError("standard output", [fault]) from None


def say(text: str, *, err: bool = False) -> None:
    """Print words of one line or more; what a terminal would obey, in names, is escaped.

    Standard error that nobody reads ends nothing.
    """
    with suppress(OSError) if err else nullcontext():
        click.echo(printable_lines(text), err=err)


def print_line(text: str, output: Path | None = None) -> None:
    """Print one line of a result, on standard error where `output` is standard output."""
    with printing(output):
        say(printable(text))


def write(writer: Callable[[Path], Sequence[Path]], output: Path) -> str:
    """Write what a command makes; the line that says where to."""
    files: Sequence[Path] = (output,)
    with printing():
        files = writer(output)
    return f"written: {' and '.join(map(target_name, files))}"


def print_first(lines: Sequence[str], file: Path, *, err: bool = True) -> None:
    """Print the first 20 of lines about failures, and which file has the others."""
    for line in lines[:_MAX_LINES]:
        say(printable(line), err=err)
    if len(lines) > _MAX_LINES:
        say(f"… and {len(lines) - _MAX_LINES} more in {printable(str(file))}", err=err)


@contextmanager
def naming_files(**files: Path) -> Iterator[None]:
    """InputError of what Python calls `instance`, `solution` or the like, by the file's name."""
    try:
        yield
    except UsageError:
        raise
    except InputError as error:
        if error.source not in files:
            raise
        raise InputError(source_name(files[error.source]), error.faults) from None


@contextmanager
def exit_when_stopped(note: str) -> Iterator[None]:
    """For work that is kept as it ends: KeyboardInterrupt prints a note and exits with code 130."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"interrupted{note}", err=True)
        sys.exit(STOPPED)


def nobody_reads(error: OSError) -> bool:
    """Whether standard output's reader has left, or its terminal is gone: no fault of a disk."""
    gone = error.errno == errno.EIO and stat.S_ISCHR(os.fstat(sys.stdout.fileno()).st_mode)
    return gone or isinstance(error, BrokenPipeError)


def close_stdout() -> None:
    """Let what is still in its buffer go nowhere: Python writes it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def progress_bar() -> Iterator[PhaseCallback]:
    """A bar on a terminal's standard error, and the callback that moves it."""
    from rich import progress as rich

    from dtkd_opt.reporting.summary import live_console

    columns = (
        rich.TextColumn("{task.description}"), rich.BarColumn(), rich.TaskProgressColumn(),
        rich.TimeElapsedColumn(), rich.TextColumn("left"), rich.TimeRemainingColumn(),
    )  # fmt: skip
    with (
        live_console() as console,
        rich.Progress(
            *columns,
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=1200,
        ) as progress,
    ):
        phases: dict[str, Any] = {}

        def callback(phase: str, done: float, total: float) -> None:
            if phase not in phases:  # what was done before says nothing about the speed
                phases[phase] = progress.add_task(phase, total=total)
                progress.reset(phases[phase], completed=int(done))
            else:
                progress.update(phases[phase], completed=done, total=total)

        yield callback

"""What commands share: arguments that are files, and printing that survives `| head`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from dtkd_opt.errors import InputError

FILE = click.Path(path_type=Path)


@contextmanager
def printing() -> Iterator[None]:
    """For results: a reader that has seen enough (`| head`) ends nothing.

    Raises
    ------
    InputError
        When standard output takes no more, such as on a full disk.
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


def say(text: str) -> None:
    """Print one line of a result."""
    with printing():
        click.echo(text)


def _close_stdout() -> None:
    """Let what is still in its buffer go nowhere: Python writes it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

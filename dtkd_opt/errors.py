"""Errors in the user's words, each with the exit code of the command line."""

from __future__ import annotations

import copyreg
from collections.abc import Sequence
from typing import Any

KEPT_FAULTS = 1000  # of a table with a million faults, the first say enough


def printable(text: str) -> str:
    """One line that every terminal and file takes: line breaks and the like become escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_lines(text: str) -> str:
    """The same of a text of several lines, which stay so."""
    return "\n".join(map(printable, text.split("\n")))


class DtkdError(Exception):
    """Base of all errors that a user can cause or mend; `exit_code` is the command's."""

    exit_code = 1
    several_lines = False  # else a line break is of a name, and becomes an escape

    def __str__(self) -> str:
        escape = printable_lines if self.several_lines else printable
        return escape(super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles as what it holds: Python's own way would give the message to `__init__`."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class InputError(DtkdError):
    """A file (or record) that cannot be used; one line per fault.

    Parameters
    ----------
    source
        The file's name, or a word such as ``instance`` for a record made in Python.
    faults
        ``path: what would be right`` for each fault; the path may be missing.
    """

    shown = 20
    several_lines = True

    def __init__(self, source: str, faults: Sequence[str]):
        self.source = source
        self.faults = tuple(faults)
        shown = list(self.faults[: self.shown])
        if len(self.faults) > self.shown:
            rest = len(self.faults) - self.shown
            counted = "" if len(self.faults) < KEPT_FAULTS else "at least "
            shown.append(f"… and {counted}{rest} more faults")
        lines = [printable(f"{source}: {fault}") for fault in shown]
        super().__init__("\n".join(lines))


class InfeasibleError(DtkdError):
    """No plan exists for this instance, or for this choice: the message says why."""

    exit_code = 3
    several_lines = True


class UsageError(InputError):
    """Arguments that cannot be used, options that do not go together, or an unknown method."""

    exit_code = 2
    several_lines = False

    def __init__(self, message: str):
        DtkdError.__init__(self, message)
        self.source, self.faults = "", (message,)

"""What a function is given, as what it takes; else UsageError: what it must be, and what it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar

from dtkd_opt.errors import InputError, UsageError, printable
from dtkd_opt.records.arrays import plain_value

NULL_BYTE = "is no file name; must not hold a null byte"
Kind = TypeVar("Kind")
Settings = TypeVar("Settings")


def as_kind(kind: type[Kind] | UnionType, given: Any, words: str) -> Kind:
    """What was given, where it is of a class; the words say what it must be."""
    if not isinstance(given, kind):
        raise UsageError(f"{words}, got {shown(given)}")
    return given


def as_record(kind: type[Settings], given: Settings | None, name: str) -> Settings:
    """The settings given as an argument of that name, or the defaults for None."""
    return as_kind(kind, kind() if given is None else given, f"{name} must be {kind.__name__}(...)")


def as_number(given: Any, words: str, valid: Callable[[float], bool]) -> float:
    """A number of Python, NumPy or PyTorch for which `valid` holds, as a float."""
    value = plain_value(given)
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else None
    except OverflowError:  # a whole number of hundreds of digits
        number = None
    if number is None or not valid(number):
        raise UsageError(f"{words}, got {shown(given)}")
    return number


def as_whole(given: Any, words: str, valid: Callable[[int], bool]) -> int:
    """A whole number for which `valid` holds, as an int."""
    value = plain_value(given)
    if not isinstance(value, Integral) or isinstance(value, bool) or not valid(int(value)):
        raise UsageError(f"{words}, got {shown(given)}")
    return int(value)


def as_choice(given: Any, choices: Collection[str], words: str) -> str:
    """One of some texts; the words say that there is none of such a name."""
    if not isinstance(given, str) or given not in choices:
        name = f'"{printable(given)}"' if isinstance(given, str) else shown(given)
        *others, last = choices
        raise UsageError(f"{words} {name}; choose {', '.join(others)} or {last}")
    return given


def as_flag(given: Any, name: str) -> bool:
    """True or False, also NumPy's."""
    return as_kind(bool, plain_value(given), f"{name} must be True or False")


def as_path(given: Any, name: str = "path") -> Path:
    """A file or folder by its name; InputError where nothing can have that name."""
    words = f"{name} must be a str or a Path"
    text = as_kind(str, os.fspath(as_kind(str | PathLike, given, words)), words)
    if not text:
        raise InputError(name, ["must not be empty; name a file or folder"])
    if "\0" in text:
        raise InputError(text, [NULL_BYTE])
    return Path(text)


def as_file(given: Any, name: str = "path") -> Path:
    """As :func:`as_path`, of a file, to which no name belongs that ends as a folder's may."""
    path = as_path(given, name)
    if os.fspath(given).endswith((os.sep, os.altsep or os.sep)):
        raise InputError(os.fspath(given), ["is a folder; name a file"])
    return path


def as_callback(given: Any, of: str) -> Any:
    """A function, or None; `of` says what it is called with."""
    if not (given is None or callable(given)):
        raise UsageError(f"callback must be a function of {of}, got {shown(given)}")
    return given


def shown(given: Any) -> str:
    """A value as Python writes it, on one line and not too long."""
    return f"{printable(repr(given)):.60}"

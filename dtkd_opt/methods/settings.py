"""Settings of methods from a TOML file: one table a method, checked key by key.

[q-learning]
cold = true
rounds = 20000

[exact.highs]
threads = 1
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.fields import Record
from dtkd_opt.files import read_bytes, validate
from dtkd_opt.methods import get_method, method_names


def read_settings(path: Path) -> dict[str, Any]:
    """The tables of a settings file, by method.

    Raises
    ------
    InputError
        When it is not TOML, or holds anything but tables named like methods (`auto` is `price`).
    """
    try:
        tables = tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(str(path), [f"is not TOML: {error}"]) from None
    known = [name for name in method_names() if name != "auto"]
    faults = [
        f"{name}: there is no such method; choose one of {', '.join(known)}"
        for name in tables
        if name not in known
    ]
    faults += [
        f"{name}: must be a table of settings, [{name}], got {value!r}"
        for name, value in tables.items()
        if name in known and not isinstance(value, dict)
    ]
    if faults:
        raise InputError(str(path), faults)
    return tables


def make_params(name: str, settings: Mapping[str, Any], source: str = "params") -> Any:
    """The record of a method's settings, or None for its defaults.

    Parameters
    ----------
    name
        The method.
    settings
        Keys of its record with their values, nested as in it.
    source
        Where they come from, for messages.

    Raises
    ------
    InputError
        One line for each setting that is unknown or out of its range.
    UsageError
        When the method takes no settings in words.
    """
    if not settings:
        return None
    method = get_method(name)
    kind = method.params_type
    if kind is None or not issubclass(kind, Record):
        raise UsageError(f"{method.name} takes no settings, got {', '.join(settings)}")
    return validate(kind, dict(settings), source)

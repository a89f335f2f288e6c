"""Settings of methods from a TOML file: one table a method, checked key by key.

[q-learning]
rounds = 20000

[exact.highs]
threads = 1

A table of any other name names the method whose settings it holds, and can be used like a method:

["q-learning cold"]
method = "q-learning"
cold = true
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dtkd_opt.errors import InputError
from dtkd_opt.methods.registry import find_method, method_names, unknown_method
from dtkd_opt.records.fields import Record
from dtkd_opt.records.files import read_bytes


def read_settings(path: Path) -> dict[str, Any]:
    """The tables of a TOML file by name; InputError where it or one of them is none."""
    try:
        settings = tomllib.loads(read_bytes(path).decode())
    except ValueError as error:  # also where it is no text, or a number has too many digits
        raise InputError(str(path), [f"is not TOML: {error}"]) from None
    except RecursionError:
        raise InputError(str(path), ["is nested too deeply for settings of a method"]) from None
    check_settings(settings, str(path))
    return settings


def check_settings(settings: Mapping[str, Any], source: str) -> None:
    """InputError, a line for each entry that is no table or of no method (`auto` is `price`).

    The settings in a table are checked where they are used.
    """
    methods = [name for name in method_names() if name != "auto"]
    faults = [_fault(name, given, methods) for name, given in settings.items()]
    if any(faults):
        raise InputError(source, list(filter(None, faults)))


def _fault(name: Any, given: Any, methods: Sequence[str]) -> str:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        return f"{name!r}: is no name; must be a text that can be printed"
    if name in methods:
        what = f"must be a table of settings, [{name}], got {given!r}"
        return "" if isinstance(given, Mapping | Record) else f"{name}: {what}"
    if name == "auto" or not isinstance(given, Mapping) or "method" not in given:
        return (
            f"{name}: there is no such method; choose one of {', '.join(methods)}, "
            f'or name the method inside, such as method = "{methods[0]}"'
        )
    if given["method"] not in methods:
        what = f"must be one of {', '.join(methods)}, got {given['method']!r}"
        return f"{name}.method: {what}"
    return ""


def find_settings(name: str, settings: Mapping[str, Any]) -> tuple[str, Any]:
    """The method that a name stands for, and the settings that checked tables hold for it.

    The name is a method's, whose table is named like it, or that of a table that names its method.
    UsageError where there is neither.
    """
    names = method_names()
    if name in settings and name not in names:
        given = dict(settings[name])
        return given.pop("method"), given
    if name not in names:
        raise unknown_method(name, dict.fromkeys((*names, *settings)))
    method = find_method(name).name
    return method, settings.get(method, {})

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

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.methods.registry import find_method, method_names
from dtkd_opt.records.fields import Record
from dtkd_opt.records.files import read_bytes


def read_settings(path: Path) -> dict[str, Any]:
    """The tables of a TOML file by name; InputError if it is none or :func:`check_tables` fails."""
    try:
        tables = tomllib.loads(read_bytes(path).decode())
    except ValueError as error:  # also where it is no text, or a number has too many digits
        raise InputError(str(path), [f"is not TOML: {error}"]) from None
    except RecursionError:
        raise InputError(str(path), ["is nested too deeply for settings of a method"]) from None
    check_tables(tables, str(path))
    return tables


def check_tables(tables: Mapping[str, Any], source: str) -> None:
    """InputError, a line for each entry that is no table or of no method (`auto` is `price`).

    The settings in a table are checked where they are used.
    """
    methods = [name for name in method_names() if name != "auto"]
    faults = [_fault(name, table, methods) for name, table in tables.items()]
    if any(faults):
        raise InputError(source, list(filter(None, faults)))


def _fault(name: Any, table: Any, methods: Sequence[str]) -> str:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        return f"{name!r}: is no name; must be a text that can be printed"
    if name in methods:
        what = f"must be a table of settings, [{name}], got {table!r}"
        return "" if isinstance(table, Mapping | Record) else f"{name}: {what}"
    if name == "auto" or not isinstance(table, Mapping) or "method" not in table:
        return (
            f"{name}: there is no such method; choose one of {', '.join(methods)}, "
            f'or name the method inside, such as method = "{methods[0]}"'
        )
    if table["method"] not in methods:
        what = f"must be one of {', '.join(methods)}, got {table['method']!r}"
        return f"{name}.method: {what}"
    return ""


def find_settings(name: str, tables: Mapping[str, Any]) -> tuple[str, Any]:
    """The method that a name stands for, and the settings that checked tables hold for it.

    The name is a method's, whose table is named like it, or that of a table that names its method.
    UsageError where there is neither.
    """
    names = method_names()
    if name in tables and name not in names:
        table = dict(tables[name])
        return table.pop("method"), table
    if name not in names:
        choice = ", ".join((*names, *(label for label in tables if label not in names)))
        raise UsageError(f'there is no method "{name}"; choose one of {choice}')
    method = find_method(name).name
    return method, tables.get(method, {})

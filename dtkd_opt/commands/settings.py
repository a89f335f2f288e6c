"""Options that stand for single settings of methods, put into the tables of a settings file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dtkd_opt.errors import UsageError

SETTINGS = {  # option: its method, and where the setting is in that method's table
    "no_fixing": ("exact", ("fixing",)),
    "mip_rel_gap": ("exact", ("highs", "mip_rel_gap")),
    "threads": ("exact", ("highs", "threads")),
    "highs_log": ("exact", ("highs", "log_file")),
    "cold": ("q-learning", ("cold",)),
}


def given_settings(options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that were given."""
    return {name: value for name, value in options.items() if value not in (None, False)}


def settings_tables(
    methods: Sequence[str], file: Path | None, given: dict[str, Any]
) -> dict[str, Any]:
    """The tables of a settings file, overridden by the options given.

    UsageError where the method of an option is not among `methods`.
    """
    from dtkd_opt.methods.settings import read_settings

    settings = {} if file is None else read_settings(file)
    for name, value in given.items():
        method, path = SETTINGS[name]
        if method not in methods:
            raise UsageError(_misplaced(f"--{name.replace('_', '-')}", name, methods, settings))
        value = str(value) if isinstance(value, Path) else value
        _set_value(settings, (method, *path), False if name == "no_fixing" else value)
    return settings


def _misplaced(option: str, name: str, methods: Sequence[str], settings: dict[str, Any]) -> str:
    """Which method an option belongs to, and where to set it if a label's method is that one."""
    method, path = SETTINGS[name]
    message = f"{option} belongs to --method {method}"
    label = next((one for one in methods if settings.get(one, {}).get("method") == method), None)
    if label is None:
        return message
    return f'{message}; for "{label}" set {".".join(path)} in its table of --params'


def _set_value(settings: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        settings = settings.setdefault(key, {})
        if not isinstance(settings, dict):
            return  # a fault of the file, reported when the record is made
    settings[path[-1]] = value

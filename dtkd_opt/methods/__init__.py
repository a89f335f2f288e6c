"""The methods by name: our own, one file each, and those that other packages bring.

A method is a function ``method(search, seed, params) -> Termination``. It offers choices to the
search, may raise its bound, and ends by itself or where the search's stop rule says so. The
annotation of `params` names the record of its settings (`MyParams`, `MyParams | None`), or is None.

A package adds its own by an entry point in the group ``dtkd_opt.methods``; see CONTRIBUTING.md.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from dtkd_opt.errors import UsageError, printable
from dtkd_opt.records.solution import Termination
from dtkd_opt.records.version import __version__

GROUP = "dtkd_opt.methods"
_OWN = {
    "price": "dtkd_opt.methods.price:price",
    "exact": "dtkd_opt.methods.exact:exact",
    "q-learning": "dtkd_opt.methods.q_learning:q_learning",
    "dqn": "dtkd_opt.methods.dqn.method:dqn",
    "greedy": "dtkd_opt.methods.baselines:greedy",
    "all-device": "dtkd_opt.methods.baselines:all_device",
    "all-server": "dtkd_opt.methods.baselines:all_server",
    "random": "dtkd_opt.methods.baselines:random",
}
METHODS = ("auto", *_OWN)


@dataclass(frozen=True)
class Method:
    """A method, imported: its function and the class of its settings, if it has some."""

    name: str
    run: Callable[[Any, int, Any], Termination]
    params_type: type | None

    def default_params(self) -> Any:
        """Its settings when nothing is said of them; UsageError where that cannot be."""
        try:
            return self.params_type() if self.params_type is not None else None
        except Exception as error:  # whatever another package's class does when it is called
            raise UsageError(
                f'method "{self.name}" cannot be used without params: {_words(error)}'
            ) from error


def method_names() -> tuple[str, ...]:
    """Our own methods, then those of other packages that are installed here."""
    return (*METHODS, *sorted(_foreign()))


def method_version(name: str) -> str:
    """The version of this package, and of the one that brings the method."""
    entry = _foreign().get(name)
    own = f"dtkd-opt {__version__}"
    return (
        own
        if entry is None or entry.dist is None
        else f"{own} + {entry.dist.name} {entry.dist.version}"
    )


def get_method(name: str) -> Method:
    """Import a method by name; `auto` is `price`.

    Raises
    ------
    UsageError
        When there is no method of that name, or two of them, or another package's cannot be used.
    """
    if name in _namesakes():
        raise UsageError(
            f'method "{name}" is of dtkd-opt, and {_namesakes()[name]} brings another one of that '
            "name; rename that one, or uninstall its package"
        )
    name = "price" if name == "auto" else name
    if name in _OWN:
        module, function = _OWN[name].split(":")
        return _method(name, getattr(import_module(module), function))
    foreign = _foreign()
    if name not in foreign:
        raise UsageError(f'there is no method "{name}"; choose one of {", ".join(method_names())}')
    try:
        return _method(name, foreign[name].load())
    except Exception as error:  # whatever another package's code does when it is imported
        raise UsageError(
            f'method "{name}" ({foreign[name].value}) cannot be used: {_words(error)}'
        ) from error


def _foreign() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in METHODS}


@cache  # looking through all packages takes longer than many a plan
def _namesakes() -> dict[str, str]:
    """Where methods of other packages come from that are named like one of ours."""
    entries = (entry for entry in entry_points(group=GROUP) if entry.name in METHODS)
    return {entry.name: f"{entry.dist.name if entry.dist else entry.value}" for entry in entries}


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {printable(str(error))}"


def _method(name: str, run: Callable[[Any, int, Any], Termination]) -> Method:
    if not callable(run):
        raise TypeError("it is no function")
    signature = inspect.signature(run)
    signature.bind(None, 0, None)
    annotation = getattr(signature.parameters.get("params"), "annotation", None)
    unsaid = annotation in (None, inspect.Parameter.empty)
    return Method(name, run, None if unsaid else _settings_type(run, annotation))


def _settings_type(run: Callable[..., Any], annotation: Any) -> type | None:
    """The class that an annotation of `params` names, alone or beside None; TypeError if none."""
    while isinstance(run, partial):
        run = run.func
    run = inspect.unwrap(run)
    names = getattr(run if inspect.isroutine(run) else type(run).__call__, "__globals__", {})
    hint = get_type_hints(SimpleNamespace(__annotations__={"p": annotation}), names)["p"]
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        hint = kinds[0] if len(kinds) == 1 else hint
    if hint is NoneType:
        return None
    if not isinstance(hint, type):
        raise TypeError(f"params must be annotated with one class or None, got {hint}")
    isinstance(None, hint)  # some classes only look like ones, and say so here
    return hint

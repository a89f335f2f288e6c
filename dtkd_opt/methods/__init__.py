"""The methods by name: our own, one file each, and those that other packages bring.

A method is a function ``method(search, seed, params) -> Termination``. It offers choices to the
search, may raise its bound, and ends by itself or where the search's stop rule says so. The
annotation of `params` names the record of its settings, or is None.

A package adds its own by an entry point in the group ``dtkd_opt.methods``; see CONTRIBUTING.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_type_hints

from dtkd_opt import __version__
from dtkd_opt.errors import UsageError, printable
from dtkd_opt.solution import Termination

GROUP = "dtkd_opt.methods"
_OWN = {
    "price": "dtkd_opt.methods.price:price",
    "exact": "dtkd_opt.methods.exact:exact",
    "q-learning": "dtkd_opt.methods.qlearning:q_learning",
    "dqn": "dtkd_opt.methods.dqn:dqn",
    "greedy": "dtkd_opt.methods.baselines:greedy",
    "all-device": "dtkd_opt.methods.baselines:all_device",
    "all-server": "dtkd_opt.methods.baselines:all_server",
    "random": "dtkd_opt.methods.baselines:random",
}
METHODS = ("auto", *_OWN)


@dataclass(frozen=True)
class Method:
    """A method, imported: its function and the record of its settings, if it has one."""

    name: str
    run: Callable[[Any, int, Any], Termination]
    params_type: type | None

    def default_params(self) -> Any:
        return self.params_type() if self.params_type is not None else None


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
        When there is no method of that name, or another package's cannot be used.
    """
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
            f'method "{name}" ({foreign[name].value}) cannot be used: '
            f"{type(error).__name__}: {printable(str(error))}"
        ) from error


def _foreign() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in METHODS}


def _method(name: str, run: Callable[[Any, int, Any], Termination]) -> Method:
    if not callable(run):
        raise TypeError("it is no function")
    settings = get_type_hints(run).get("params", type(None))
    return Method(name, run, None if settings is type(None) else settings)

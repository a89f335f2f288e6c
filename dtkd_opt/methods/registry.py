"""The methods by name: our own, one file each, and those that other packages bring.

A method is a record of its settings with ``__call__(search, seed) -> Termination``. It tries
choices as incumbents of the search, may raise its bound, and ends by itself or where the search's
stop rule says so. A plain function ``(search, seed, params)`` is accepted too; the annotation of
`params` names the record of its settings (`MySettings`, `MySettings | None`), or is None.

A package adds its own by an entry point in the group ``dtkd_opt.methods``
(docs/how-to/own-method.md).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import NoneType, SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from dtkd_opt.errors import InputError, UsageError, printable
from dtkd_opt.records.arguments import as_kind
from dtkd_opt.records.fields import Record
from dtkd_opt.records.solution import Termination
from dtkd_opt.records.validation import validate
from dtkd_opt.records.version import __version__

if TYPE_CHECKING:
    from dtkd_opt.methods.search import Search

    Method = Callable[[Search, int], Termination]

GROUP = "dtkd_opt.methods"
_OWN = {
    "price": "dtkd_opt.methods.price:Price",
    "exact": "dtkd_opt.methods.exact:Exact",
    "q-learning": "dtkd_opt.methods.q_learning:QLearning",
    "dqn": "dtkd_opt.methods.dqn.method:DQN",
    "greedy": "dtkd_opt.methods.baselines:Greedy",
    "all-device": "dtkd_opt.methods.baselines:AllDevice",
    "all-server": "dtkd_opt.methods.baselines:AllServer",
    "random": "dtkd_opt.methods.baselines:Random",
}
METHODS = ("auto", *_OWN)
"""The names of our own methods; `auto` is `price`."""


@dataclass(frozen=True)
class FunctionMethod:
    """A plain function ``(search, seed, params)`` as a method, with its settings."""

    name: str
    function: Callable[[Any, int, Any], Termination]
    params: Any = None

    def __call__(self, search: Search, seed: int) -> Termination:
        return self.function(search, seed, self.params)


@dataclass(frozen=True)
class MethodFactory:
    """How a method is made: the class of its settings, if it has some, and what builds it."""

    name: str
    settings_type: type | None
    build: Callable[[Any], Method]

    def default(self) -> Method:
        """The method with its defaults; UsageError where it has none."""
        try:
            return self.build(self.settings_type() if self.settings_type is not None else None)
        except Exception as error:  # whatever another package's class does when it is called
            raise UsageError(
                f'method "{self.name}" cannot be used without settings: {_describe(error)}'
            ) from error


def method_names() -> tuple[str, ...]:
    """Our own methods, then those of other packages that are installed here."""
    return (*METHODS, *sorted(_foreign()))


def method_version(name: str) -> str:
    """The version of this package, and of the one that brings the method."""
    entry = _foreign().get(name)
    package = f" + {entry.dist.name} {entry.dist.version}" if entry and entry.dist else ""
    return f"dtkd-opt {__version__}{package}"


def get_method(name: str, /, **settings: Any) -> Method:
    """A method by its name: ``get_method("exact", fixing=False)`` is ``Exact(fixing=False)``.

    Parameters
    ----------
    name
        One of ``dtkd_opt.METHODS``, or another package's, plain functions included.
    settings
        Fields of its record; the others have their defaults.

    Returns
    -------
    Method
        What :func:`solve` takes.

    Raises
    ------
    UsageError
        When there is no method of that name, or it cannot be used, or takes no settings.
    InputError
        When settings are unknown or out of their range.
    """
    return make_method(name, settings, name)


def make_method(name: str, settings: Mapping[str, Any] | Record, source: str) -> Method:
    """As :func:`get_method`; `settings` may also be a record of them, which the method itself is.

    `source` is what messages call the settings.
    """
    factory = find_method(name)
    kind = factory.settings_type
    if not isinstance(settings, Mapping):
        if kind is None or not isinstance(settings, kind):
            raise UsageError(f"{source}: {settings!r} holds no settings of {factory.name}")
        return factory.build(settings)
    if not settings:
        return factory.default()
    if kind is None or not issubclass(kind, Record) or not kind.model_fields:
        raise InputError(source, [f"{factory.name} takes no settings, got {', '.join(settings)}"])
    return factory.build(validate(kind, dict(settings), source))


def settings_of(method: Method) -> Record | None:
    """The record of a method's settings; None where they are not one."""
    settings = method.params if isinstance(method, FunctionMethod) else method
    return settings if isinstance(settings, Record) else None


def as_method(given: Any) -> tuple[str, Method]:
    """What :func:`solve` was given as a method, and its name: a name, a method, or a function.

    The name is the one in the registry, or made of that of the class or function. UsageError if it
    is no method.
    """
    if isinstance(given, str):
        factory = find_method(given)
        return factory.name, factory.default()
    try:
        factory = _method_factory(_name_of(given), given)
    except (TypeError, NameError, ValueError) as error:
        raise UsageError(
            "method must be a name, a method such as Price() or a function (search, seed, params); "
            f"{given!r} cannot be used: {_describe(error)}"
        ) from None
    return factory.name, factory.default()


def find_method(name: str) -> MethodFactory:
    """Import a method by name; `auto` is `price`.

    Raises
    ------
    UsageError
        When there is no method of that name, or two of them, or another package's cannot be used.
    """
    as_kind(str, name, "method must be the name of one")
    if name in _namesakes():
        raise UsageError(
            f'method "{name}" is of dtkd-opt, and {_namesakes()[name]} brings another one of that '
            "name; rename that one, or uninstall its package"
        )
    name = "price" if name == "auto" else name
    if name in _OWN:
        module, kind = _OWN[name].split(":")
        return _method_factory(name, getattr(import_module(module), kind))
    foreign = _foreign()
    if name not in foreign:
        raise unknown_method(name, method_names())
    try:
        return _method_factory(name, foreign[name].load())
    except Exception as error:  # whatever another package's code does when it is imported
        raise UsageError(
            f'method "{name}" ({foreign[name].value}) cannot be used: {_describe(error)}'
        ) from error


def unknown_method(name: str, names: Iterable[str]) -> UsageError:
    """That there is no method of this name, with the nearest or all that there are."""
    near = get_close_matches(name, names := [*names], 1)
    remedy = f'did you mean "{near[0]}"?' if near else f"choose one of {', '.join(names)}"
    return UsageError(f'there is no method "{name}"; {remedy}')


def _foreign() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in METHODS}


@cache  # looking through all packages takes longer than many a solve
def _namesakes() -> dict[str, str]:
    """Where methods of other packages come from that are named like one of ours."""
    entries = (entry for entry in entry_points(group=GROUP) if entry.name in METHODS)
    return {entry.name: f"{entry.dist.name if entry.dist else entry.value}" for entry in entries}


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {printable(str(error))}"


def _name_of(method: Any) -> str:
    """A method's name in the registry, or else that of its class or function: `own-method`."""
    if isinstance(method, FunctionMethod):
        return method.name
    while isinstance(method, partial):
        method = method.func
    home = method if hasattr(method, "__qualname__") else type(method)
    value = f"{home.__module__}:{home.__qualname__}"
    for name, place in _OWN.items():
        if place == value:
            return name
    for name, entry in _foreign().items():  # reads the metadata of all packages
        if entry.value == value:
            return name
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])|_", "-", home.__name__)
    name = words.lower().strip("-<>")
    return f"{home.__module__}:{name}" if name in METHODS else name


def _method_factory(name: str, given: Any) -> MethodFactory:
    """What a class, an object or a function is as a method; TypeError where it is none."""
    if isinstance(given, type):
        if not any("__call__" in vars(base) for base in given.__mro__):
            raise TypeError("its objects cannot be called with (search, seed)")
        inspect.signature(given.__call__).bind(None, None, 0)
        return MethodFactory(name, given, lambda method: method)
    if not callable(given):
        raise TypeError("it is no method and no function")
    signature = inspect.signature(given)
    params = signature.parameters.get("params")
    if params is None or params.kind is params.KEYWORD_ONLY:
        try:
            signature.bind(None, 0)
            return MethodFactory(name, None, lambda _: given)
        except TypeError:
            pass
    signature.bind(None, 0, None)
    annotation = params.annotation if params is not None else None
    without = annotation in (None, inspect.Parameter.empty)
    kind = None if without else _settings_type(given, annotation)
    return MethodFactory(name, kind, lambda settings: FunctionMethod(name, given, settings))


def _settings_type(run: Callable[..., Any], annotation: Any) -> type | None:
    """The class that an annotation of `params` names, or None; TypeError if it names no class."""
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
    isinstance(None, hint)  # raises TypeError where it only looks like a class
    return hint

"""The methods by name. Each is called as ``method(search, seed, params)`` and lives in one file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from dtkd_opt.errors import UsageError
from dtkd_opt.solution import Termination

_WHERE = {
    "price": "dtkd_opt.methods.price:price:PriceParams",
    "exact": "dtkd_opt.methods.exact:exact:ExactParams",
    "greedy": "dtkd_opt.methods.baselines:greedy:",
    "all-device": "dtkd_opt.methods.baselines:all_device:",
    "all-server": "dtkd_opt.methods.baselines:all_server:",
    "random": "dtkd_opt.methods.baselines:random:",
}
METHODS = ("auto", *_WHERE)


@dataclass(frozen=True)
class Method:
    """A method, imported: its function and the record of its settings, if it has one."""

    name: str
    run: Callable[[Any, int, Any], Termination]
    params_type: type | None

    def default_params(self) -> Any:
        return self.params_type() if self.params_type is not None else None


def get_method(name: str) -> Method:
    """Import a method by name; `auto` is `price`.

    Raises
    ------
    UsageError
        When there is no method of that name.
    """
    name = "price" if name == "auto" else name
    if name not in _WHERE:
        raise UsageError(f'there is no method "{name}"; choose one of {", ".join(METHODS)}')
    module_name, function, params = _WHERE[name].split(":")
    module = import_module(module_name)
    return Method(name, getattr(module, function), getattr(module, params) if params else None)

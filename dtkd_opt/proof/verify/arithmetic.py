"""Which arithmetic `verify` computes with: balls for few users, rounded doubles for many."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, Protocol

from dtkd_opt.errors import InputError
from dtkd_opt.proof.verify.arrays import Arrays
from dtkd_opt.records.arguments import as_choice
from dtkd_opt.records.arrays import Array, Index
from dtkd_opt.records.instance import Instance, as_instance

BALLS_UP_TO = 10_000  # users
Name = Literal["balls", "arrays"]


class Arithmetic(Protocol):
    """What is computed with rounding: costs never too high, figures to the plan's disfavour."""

    def option_costs(self, prices: Array) -> Array:
        """(N, M, 2, S) c_k(λ) ≥ 0 [s] of all users' options; inf where certainly impossible."""

    def figures(self, choice: Index, shares: Array) -> Array:
        """(4, N) cost, delay, energy and accuracy of all users, by (3, N) choice and shares."""


def arithmetic_for(instance: Instance) -> Name:
    """What `verify` uses by default."""
    return "balls" if len(as_instance(instance).users) <= BALLS_UP_TO else "arrays"


def can_verify(instance: Instance) -> bool:
    """Whether what `verify` uses by default is installed."""
    return arithmetic_for(instance) == "arrays" or find_spec("flint") is not None


def make_arithmetic(instance: Instance, name: Name | None = None) -> Arithmetic:
    """The arithmetic of that name, or the default; InputError where it is not there."""
    name = arithmetic_for(instance) if name is None else name
    if as_choice(name, ("balls", "arrays"), "there is no arithmetic") == "arrays":
        return Arrays(as_instance(instance))
    if find_spec("flint") is None:
        raise InputError("verify", ['needs python-flint: pip install "dtkd-opt[verify]"'])
    from dtkd_opt.proof.verify.balls import Balls

    return Balls(as_instance(instance))

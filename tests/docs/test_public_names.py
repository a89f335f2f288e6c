"""What users meet in annotations and errors is public, too."""

from __future__ import annotations

from collections.abc import Iterator

import griffe
import pytest

from tests.support.paths import ROOT

PACKAGE = griffe.load("dtkd_opt", search_paths=[ROOT])


def public(name: str) -> griffe.Object:
    """A public class, function or constant; some have their module's name."""
    found = PACKAGE[name]
    found = found[name] if found.is_module else found
    return found.final_target if found.is_alias else found


def named_classes(expression: object) -> Iterator[str]:
    """Classes of this package that an annotation names."""
    if not isinstance(expression, griffe.Expr):
        return
    for part in expression.iterate():
        if isinstance(part, griffe.ExprName) and part.canonical_path.startswith("dtkd_opt."):
            found = PACKAGE[part.canonical_path.removeprefix("dtkd_opt.")]
            found = found.final_target if found.is_alias else found
            if found.is_class:
                yield found.canonical_path


def met(thing: griffe.Object) -> Iterator[str]:
    """Classes in a function's return, in the fields of a record, and in what either raises."""
    sections = griffe.parse_numpy(thing.docstring) if thing.docstring else []
    for section in sections:
        if section.kind is griffe.DocstringSectionKind.raises:
            for error in section.value:
                yield from named_classes(error.annotation)
    if isinstance(thing, griffe.Function):
        yield from named_classes(thing.returns)
    if isinstance(thing, griffe.Class) and ("dataclass" in thing.labels or thing.bases):
        for name, member in thing.members.items():
            if "instance-attribute" in member.labels and not name.startswith("_"):
                yield from named_classes(member.annotation)


@pytest.mark.parametrize("name", [str(name) for name in PACKAGE.exports or []])
def test_what_a_public_name_shows_is_public(name: str) -> None:
    every = {public(str(other)).canonical_path for other in PACKAGE.exports or []}
    assert set(met(public(name))) - every == set()

"""The scripts are run by hand, once in a while: what they use of the package is where they say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SCRIPTS = sorted((ROOT / "experiments").glob("*.py"))


@pytest.mark.parametrize("script", [pytest.param(path, id=path.stem) for path in SCRIPTS])
def test_names_of_the_package_are_there(script: Path) -> None:
    used = list(names_used(ast.parse(script.read_text(encoding="utf-8"))))
    assert [name for module, name in used if not hasattr(import_module(module), name)] == []


def names_used(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Module and name of what is imported from the package, and of what is used as `do.…`."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("dtkd_opt"):
                yield from ((module, name.name) for name in names)
            case ast.Attribute(value=ast.Name(id="do"), attr=attribute):
                yield "dtkd_opt", attribute

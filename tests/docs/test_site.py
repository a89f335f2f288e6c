"""The site builds, names every public thing once, and loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import griffe
import pytest

import dtkd_opt as do
from tests.support.paths import ROOT


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a name without a page, a dead link or a wrong docstring is an error."""
    folder = tmp_path_factory.mktemp("site")
    words = ["-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_public_name_is_on_one_page(site: Path) -> None:
    pages = [path.read_text(encoding="utf-8") for path in (site / "reference").rglob("*.html")]
    for name in do.__all__:
        assert sum(f'id="dtkd_opt.{name}"' in page for page in pages) == 1, name


def test_functions_of_a_module_s_name_are_shown_as_functions(site: Path) -> None:
    """Where `solve` meant the module `methods.solve`, the page would show that."""
    for page, name in (("methods", "solve"), ("federation", "federate"), ("plan", "evaluate")):
        text = (site / "reference" / page / "index.html").read_text(encoding="utf-8")
        assert len(re.findall(rf'<h[1-6] [^>]*id="dtkd_opt\.[\w.]*\b{name}"', text)) == 1, name


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="(?:https?:)?//[^"]*"')
    for page in site.rglob("*.html"):
        found = loaded.findall(page.read_text(encoding="utf-8"))
        assert found == [], page


def test_docstrings_show_no_markup(site: Path) -> None:
    for page in (site / "reference").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r":(?:func|class|meth|mod|attr):|Sentinel\.UNSET", text), page


@cache
def documented() -> dict[str, griffe.Object]:
    """The public names, with docstrings and signatures as the site shows them."""
    hook = griffe.load_extensions(ROOT / "docs" / "hooks" / "docstrings.py")
    package = griffe.load("dtkd_opt", search_paths=[ROOT], extensions=hook)
    found = {}
    for name in do.__all__:
        thing = package[name]
        thing = thing[name] if thing.is_module else thing  # `federate` is a package, too
        found[name] = thing.final_target if thing.is_alias else thing
    return found


def sections(thing: griffe.Object) -> dict[str, dict[str, str]]:
    """The descriptions by name in each section of a docstring."""
    assert thing.docstring is not None, thing.path
    return {
        section.kind.value: {item.name: item.description for item in section.value}
        for section in thing.docstring.parse("numpy")
        if section.kind.value in ("parameters", "attributes", "returns")
    }


@pytest.mark.parametrize("name", do.__all__)
def test_what_is_public_is_described(name: str) -> None:
    """The fields and properties of a class; the parameters of a function and what it returns."""
    thing = documented()[name]
    found = sections(thing)
    assert all(all(items.values()) for items in found.values()), found
    if thing.is_function:
        assert [*found.get("parameters", {})] == [p.name.lstrip("*") for p in thing.parameters]
        assert ("returns" in found) == (str(thing.returns) != "None")
    for member in thing.members.values() if thing.is_class else ():
        if member.is_attribute and member.annotation and not member.name.startswith("_"):
            assert member.name in found.get("attributes", {}) or member.has_docstring, member.path


@pytest.mark.parametrize("name", do.__all__)
def test_signatures_show_keywords_and_types_of_known_names(name: str) -> None:
    thing = documented()[name]
    if name == "Record":  # takes what its subclasses say
        return
    for parameter in thing.parameters if thing.is_class else ():
        assert parameter.kind is not griffe.ParameterKind.var_positional
        assert not re.search(r"\b_|Strict", str(parameter.annotation)), parameter

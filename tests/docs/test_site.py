"""The site builds, names every public thing once, and loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

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

"""Which public name is documented on which page: the one that names the package it is from.

A page has lines `<!-- api: dtkd_opt.methods.solve dtkd_opt.records -->`, modules or packages. Each
name of `dtkd_opt.__all__` stands below the line that names its module most closely, once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import griffe
from mkdocs.exceptions import PluginError

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent.parent
LINE = re.compile(r"^<!-- api: (.+) -->$", re.MULTILINE)
_names: dict[str, list[str]] = {}  # directives by the module or package that a page names


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Share the public names out among the pages' lines."""
    _names.clear()
    for file in files.documentation_pages():
        if file.src_uri.startswith("reference/"):
            for line in LINE.findall(file.content_string):
                _names.update({module: [] for module in line.split()})
    package = griffe.load("dtkd_opt", search_paths=[ROOT])
    for name in public_names(package):
        origin = str(package[name].canonical_path)
        homes = [module for module in _names if f"{origin}.".startswith(f"{module}.")]
        if not homes:
            raise PluginError(f"no page of docs/reference names the module of {origin}")
        _names[max(homes, key=len)].append(f"::: dtkd_opt.{name}")
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the directives of mkdocstrings in the lines' place."""
    return LINE.sub(lambda line: _directives(line[1].split()), markdown)


def public_names(package: griffe.Object | griffe.Alias) -> list[str]:
    """`__all__`, in its order."""
    return [str(name) for name in package.exports or []]


def _directives(modules: list[str]) -> str:
    return "\n\n".join(line for module in modules for line in _names[module])

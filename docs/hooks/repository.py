"""Pages of the site that lie elsewhere in the repository, and links as they are in the repository.

README.md is the home page. Other pages and figures keep their place: `experiments/README.md`.
A link of any page is written as it works in the repository, and is translated here.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, normpath, relpath
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent.parent
OUTSIDE = (
    "*.md",
    "formulations/*.md",
    "instances/*.md",
    "experiments/**/*.md",
    "experiments/**/*.svg",
)
HOME = "README.md"
LINK = re.compile(r"(?P<sign>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^ *(```|~~~)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and figures that lie outside of docs/."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, site_path(name), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Translate the page's links, but for those in blocks of code."""
    source, inside, lines = repository_path(page.file.src_uri), False, []
    for line in markdown.splitlines():
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            line = LINK.sub(lambda link: _translate(link, source, files), line)
        lines.append(line)
    return "\n".join(lines)


def site_path(name: str) -> str:
    """Where a file of the repository is on the site."""
    return "index.md" if name == HOME else name.removeprefix("docs/")


def repository_path(name: str) -> str:
    """Where a page of the site is in the repository."""
    if name == "index.md":
        return HOME
    return f"docs/{name}" if (ROOT / "docs" / name).exists() else name


def _translate(link: re.Match[str], source: str, files: Files) -> str:
    """A link to what is not on the site becomes its text."""
    target, _, anchor = link["target"].partition("#")
    if not target or ":" in target:
        return link[0]
    there = normpath(f"{dirname(source)}/{target}" if dirname(source) else target)
    if files.get_file_from_path(site_path(there)) is None:
        return link["text"] if (ROOT / there).exists() else link[0]
    here = dirname(site_path(source)) or "."
    found = relpath(site_path(there), here) + (f"#{anchor}" if anchor else "")
    return f"{link['sign']}[{link['text']}]({found})"

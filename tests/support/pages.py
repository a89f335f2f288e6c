"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"python", "sh", "text", "toml", "json"}  # a slip here would leave blocks out
MARKS = {"slow", "solve", "test"}
FENCE = re.compile(r"^ *```(.*)$")
MARK = re.compile(r"^ *<!-- ([a-z]+) -->$")
COMMAND = re.compile(r"(?:^|[\s/])dtkd-opt (.+)$")


@dataclass(frozen=True)
class Block:
    """A block of code: the line of its page where it begins, and whether it is marked slow."""

    page: Path
    line: int
    language: str
    code: str
    slow: bool

    @property
    def commands(self) -> list[str]:
        """The arguments of each command `dtkd-opt …` of a shell block."""
        if self.language != "sh":
            return []
        lines = self.code.replace("\\\n", " ").splitlines()
        return [found[1] for line in lines if (found := COMMAND.search(line))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> Iterator[Block]:
    """All blocks of a page; AssertionError where one is of an unknown language or not closed."""
    lines, mark = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), start=1)), ""
    for number, line in lines:
        if found := MARK.match(line):
            mark = found[1]
            assert mark in MARKS, f"{name_of(page)}:{number}: unknown mark {mark}"
        elif opened := FENCE.match(line):
            language = opened[1].split()[0] if opened[1].split() else "?"
            assert language in LANGUAGES, f"{name_of(page)}:{number}: unknown language {language}"
            code = []
            for _, inner in lines:
                if FENCE.match(inner):
                    break
                code.append(inner)
            else:
                raise AssertionError(f"{name_of(page)}:{number}: the block is not closed")
            text = textwrap.dedent("\n".join(code)) + "\n"
            yield Block(page, number, language, text, mark == "slow")
            mark = ""
        elif line.strip():
            mark = ""

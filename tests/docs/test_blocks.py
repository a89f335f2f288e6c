"""The code of README, CONTRIBUTING and docs/ runs: page by page, in one folder and namespace."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import pytest

from dtkd_opt.commands.main import cli
from tests.support.command_line import run
from tests.support.pages import PAGES, Block, blocks_of, name_of
from tests.support.paths import ROOT

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMANDS = sorted({words for block in BLOCKS for words in block.commands})
TITLE = re.compile(r'^ *```toml title="(.+)"$')


def pages_with(slow: bool) -> list[Any]:
    """Pages that have something to run; with `slow`, those that have something slow."""
    found = []
    for page in PAGES:
        marks = [block.slow for block in blocks_of(page) if runs(block)]
        if any(marks) if slow else not all(marks):
            found.append(pytest.param(page, id=name_of(page)))
    return found


def runs(block: Block) -> bool:
    return block.language == "python" or bool(block.commands)


def play(page: Path, blocks: Iterable[Block], folder: Path) -> None:
    """Run a page's blocks; files that it shows under a title are there."""
    for name in ("instances", "experiments"):
        shutil.copytree(ROOT / name, folder / name)  # a page may write there
    namespace: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        if block.language == "toml":
            write_titled(block, folder)
        elif block.language == "python":
            lines = "\n" * block.line + block.code  # so that tracebacks have the page's lines
            exec(compile(lines, name_of(page), "exec"), namespace)
        for words in block.commands:
            done = run(*shlex.split(words), cwd=folder)
            assert done.returncode == 0, f"{words}: {done.stderr}"


def write_titled(block: Block, folder: Path) -> None:
    title = TITLE.match(block.page.read_text(encoding="utf-8").splitlines()[block.line - 1])
    if title:
        (folder / title[1]).write_text(block.code, encoding="utf-8")


@pytest.mark.parametrize("page", pages_with(slow=False))
def test_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    play(page, (block for block in blocks_of(page) if not block.slow), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with(slow=True))
def test_slow_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    play(page, blocks_of(page), tmp_path)


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_are_valid(words: str) -> None:
    """Also of those that are slow: the command and all its options are there."""
    name, *arguments = shlex.split(words)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, arguments)


def test_every_command_is_shown_and_in_its_table() -> None:
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `dtkd-opt ([a-z-]+)", page, re.MULTILINE))
    assert listed == set(cli.list_commands(click.Context(cli)))


def test_scripts_named_are_there() -> None:
    for page in [*PAGES, ROOT / "experiments" / "README.md"]:
        for script in re.findall(r"python (experiments/\w+\.py)", page.read_text(encoding="utf-8")):
            assert (ROOT / script).is_file(), f"{name_of(page)}: {script}"

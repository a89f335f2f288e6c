r"""The help texts of commands as Markdown: what follows click's mark \b is not wrapped there."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

from dtkd_opt.commands.main import cli

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig


def on_config(config: MkDocsConfig) -> None:
    """Rewrite the help of all commands, before mkdocs-click shows them."""
    context = click.Context(cli)
    for command in (cli, *(cli.get_command(context, name) for name in cli.list_commands(context))):
        if command is not None and command.help:
            command.help = markdown(command.help)


def markdown(text: str) -> str:
    """Indented lines become blocks of code, each with a blank line before it."""
    lines: list[str] = []
    for line in inspect.cleandoc(text).splitlines():
        if line == "\b":
            continue
        indented = line.startswith("  ")
        if indented and lines and lines[-1] and not lines[-1].startswith("    "):
            lines.append("")
        lines.append(f"  {line}" if indented else line)
    return "\n".join(lines)

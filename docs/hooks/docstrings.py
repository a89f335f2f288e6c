"""Docstrings as pages show them: references become links, fields a list.

A field's line is its name, its type and the comment behind it in the code.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:func|class|meth|mod|attr):`~?([\w.]+)`")
LITERAL = re.compile(r"``([^`]+)``")
COMMENT = re.compile(r"\s#\s+(?!noqa|type:|fmt:)(.*)$")
WRAPPED = re.compile(r"^(?:ClassVar|Annotated)\[(.+?)(?:, Field\(.*)?\]$")
JOINT = re.compile(r"^(\w+(?:, \w+)+)\n((?:    .+\n?)+)", re.MULTILINE)
HEADING = "Attributes\n----------\n"


class Docstrings(griffe.Extension):
    """Prepares all docstrings of the package, once it is read."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        _visit(pkg, {str(name) for name in pkg.exports or []})


def _visit(thing: griffe.Object, public: set[str]) -> None:
    if isinstance(thing, griffe.Class):
        _list_fields(thing)
    if thing.docstring is not None:
        # of parameters that share a description, each has a type of its own
        text = JOINT.sub(lambda joint: _apart(joint[1], joint[2]), thing.docstring.value)
        text = ROLE.sub(lambda role: _link(role[1], public), text)
        thing.docstring.value = LITERAL.sub(r"`\1`", text)
    for member in thing.members.values():
        if isinstance(member, griffe.Object):
            _visit(member, public)


def _apart(names: str, words: str) -> str:
    return "".join(f"{name}\n{words.rstrip()}\n" for name in names.split(", "))


def _link(path: str, public: set[str]) -> str:
    """The last part of a path, a link where the name is public."""
    name = path.removeprefix("dtkd_opt.")
    last = path.rpartition(".")[2]
    return f"[`{last}`][dtkd_opt.{name}]" if name in public else f"`{last}`"


def _list_fields(kind: griffe.Class) -> None:
    """Add the section of a class's fields and properties to its docstring."""
    text = kind.docstring.value if kind.docstring is not None else ""
    fields = [
        member
        for name, member in kind.members.items()
        if isinstance(member, griffe.Attribute)
        and not (name.startswith("_") or name.startswith("model_"))
        and (member.annotation is not None or member.has_docstring)
    ]
    if not fields or HEADING in text:
        return
    section = HEADING + "\n".join(_field(field) for field in fields)
    kind.docstring = griffe.Docstring(f"{text.rstrip()}\n\n{section}".strip(), parent=kind)
    for field in fields:
        field.docstring = None  # it is in the list


def _field(field: griffe.Attribute) -> str:
    if field.docstring is not None:
        words = field.docstring.value
    else:
        comment = COMMENT.search(field.source)
        words = comment[1] if comment else ""
    annotation = WRAPPED.sub(r"\1", str(field.annotation))
    lines = "\n".join(f"    {line}".rstrip() for line in words.splitlines())
    return f"{field.name} : {annotation}\n{lines or '    '}"

"""Docstrings and signatures as pages show them: references become links, fields a list.

A field's line is its name, its type and the comment behind it in the code. Records take their
fields as keywords, which griffe cannot see: `Record.__init__` gets its signature at run time.
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any, cast

import griffe

ROLE = re.compile(r":(?:func|class|meth|mod|attr):`~?([\w.]+)`")
LITERAL = re.compile(r"``([^`]+)``")
COMMENT = re.compile(r"\s#\s+(?!noqa|type:|fmt:)(.*)$", re.MULTILINE)
JOINT = re.compile(r"^(\w+(?:, \w+)+)\n((?:    .+\n?)+)", re.MULTILINE)
HEADING = "Attributes\n----------\n"
RECORD = "dtkd_opt.records.fields.Record"


class Docstrings(griffe.Extension):
    """Prepares all docstrings of the package, once it is read."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        names = {str(name) for name in pkg.exports or []}
        public = [_target(pkg.members[name]) for name in sorted(names)]
        for thing in public:
            if isinstance(thing, griffe.Class) and "__init__" not in thing.members:
                _add_keywords(thing)
            elif isinstance(thing, griffe.Attribute):  # what it is, not how it is made
                thing.value = repr(getattr(import_module(pkg.path), thing.name))
        kinds = [thing for thing in public if isinstance(thing, griffe.Class)]
        listed = [field for kind in kinds for field in _list_fields(kind)]
        for field in listed:  # once all are listed: a record lists those of its bases, too
            field.docstring = None
        _visit(pkg, names)


def _target(thing: griffe.Object | griffe.Alias) -> griffe.Object:
    return thing.final_target if isinstance(thing, griffe.Alias) else thing


def _visit(thing: griffe.Object, public: set[str]) -> None:
    if isinstance(thing, griffe.Class):
        for field in _list_fields(thing):
            field.docstring = None
    if thing.docstring is not None:
        # of parameters that share an entry, each has a type and often words of its own
        text = JOINT.sub(lambda joint: _apart(joint[1], joint[2]), thing.docstring.value)
        text = ROLE.sub(lambda role: _link(role[1], public), text)
        thing.docstring.value = LITERAL.sub(r"`\1`", text)
    for member in thing.members.values():
        if isinstance(member, griffe.Object):
            _visit(member, public)


def _add_keywords(kind: griffe.Class) -> None:
    """Give a record an `__init__` with its fields, as it has when it runs."""
    fields = _record_fields(kind)
    if fields is None:
        return
    keyword = griffe.ParameterKind.keyword_only
    init = griffe.Function(
        "__init__",
        parameters=griffe.Parameters(
            griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword),
            *(
                griffe.Parameter(
                    name, annotation=_plain(field.annotation), kind=keyword, default=_default(field)
                )
                for name, field in fields.items()
                if name != "format"  # what files begin with
            ),
        ),
    )
    kind.set_member("__init__", init)


def _record_fields(kind: griffe.Class) -> dict[str, griffe.Attribute] | None:
    """A record's fields and those of its bases; None of what is no record."""
    bases = kind.mro()
    if RECORD not in {base.path for base in bases}:
        return None
    members = [item for base in (*reversed(bases), kind) for item in base.members.items()]
    return {name: cast(griffe.Attribute, member) for name, member in members if _is_field(member)}


def _is_field(member: griffe.Object | griffe.Alias) -> bool:
    return (
        isinstance(member, griffe.Attribute)
        and member.annotation is not None
        and not member.name.startswith(("_", "model_"))
        and "property" not in member.labels
    )


def _default(field: griffe.Attribute) -> Any:
    """The value in the code, but what `Field(default_factory=…)` makes."""
    made = re.match(r"Field\(default_factory=(\w+)\)$", str(field.value or ""))
    return f"{made[1]}()" if made else field.value


def _plain(annotation: Any) -> Any:
    """The type without the limits that `Annotated` adds, and without `ClassVar`."""
    if isinstance(annotation, griffe.ExprSubscript):
        inside = annotation.slice
        if str(annotation.left) == "Annotated" and isinstance(inside, griffe.ExprTuple):
            return inside.elements[0]
        if str(annotation.left) == "ClassVar":
            return inside
    return annotation


def _apart(names: str, words: str) -> str:
    """An entry for each name: its own part of "the one, and the other", or else all words."""
    apart, parts = names.split(", "), re.split(r", and\s+", words.strip(), maxsplit=1)
    if len(apart) != len(parts) or ". " in parts[0]:
        return "".join(f"{name}\n{words.rstrip()}\n" for name in apart)
    sentences = (f"    {parts[0]}.", f"    {parts[1][0].upper()}{parts[1][1:]}")
    return "".join(f"{name}\n{line}\n" for name, line in zip(apart, sentences, strict=True))


def _link(path: str, public: set[str]) -> str:
    """The last part of a path, a link where the name is public."""
    name = path.removeprefix("dtkd_opt.")
    last = path.rpartition(".")[2]
    return f"[`{last}`][dtkd_opt.{name}]" if name in public else f"`{last}`"


def _list_fields(kind: griffe.Class) -> list[griffe.Attribute]:
    """Add the section of a class's fields and properties to its docstring; those it lists."""
    text = kind.docstring.value if kind.docstring is not None else ""
    own = {
        name: member
        for name, member in kind.members.items()
        if isinstance(member, griffe.Attribute)
        and not (name.startswith("_") or name.startswith("model_"))
        and (member.annotation is not None or member.has_docstring)
    }
    if not own or HEADING in text:
        return []
    fields = [*((_record_fields(kind) or {}) | own).values()]
    section = HEADING + "\n".join(_field(field, text) for field in fields)
    kind.docstring = griffe.Docstring(f"{text.rstrip()}\n\n{section}".strip(), parent=kind)
    return fields  # their own docstrings would say it again


def _field(field: griffe.Attribute, text: str) -> str:
    """A field's entry: its docstring, its comment, or what the class says of the parameter."""
    comment = COMMENT.search(field.source)
    parameter = re.search(rf"^{field.name}\n((?:    .+\n?)+)", text, re.MULTILINE)
    if field.docstring is not None:
        words = field.docstring.value
    elif comment:
        words = _sentence(comment[1])
    else:
        words = inspect.cleandoc(parameter[1]) if parameter else ""
    lines = "\n".join(f"    {line}".rstrip() for line in words.splitlines())
    return f"{field.name} : {_plain(field.annotation)}\n{lines or '    '}"


def _sentence(comment: str) -> str:
    """A comment as docstrings are written; what begins with a symbol begins with it here."""
    first = comment[0].upper() if re.match(r"[a-z]{2,}\b", comment) else comment[0]
    return f"{first}{comment[1:]}" + ("" if comment[-1] in ".…" else ".")

"""The JSON Schema of each file format, made from the records: files of the site, and blocks.

A page has lines `<!-- schema: instance -->`; the file is `reference/schemas/instance.json`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

from dtkd_opt.records.schema import json_schema

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROLE = re.compile(r":(?:func|class|meth|mod|attr):`~?([\w.]+)`")  # in docstrings of records
LINE = re.compile(r"^<!-- schema: (\w+) -->$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a file for each schema that a page of the reference shows."""
    for file in list(files.documentation_pages()):
        if file.src_uri.startswith("reference/"):
            for kind in LINE.findall(file.content_string):
                name = f"reference/schemas/{kind}.json"
                files.append(File.generated(config, name, content=schema_text(kind)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put a link to the file, and its text folded up, in each line's place."""
    return LINE.sub(lambda line: _block(line[1]), markdown)


def schema_text(kind: str) -> str:
    """A schema as JSON."""
    text = json.dumps(json_schema(kind), indent=2, ensure_ascii=False) + "\n"
    return ROLE.sub(r"`\1`", text)


def _block(kind: str) -> str:
    text = "".join(f"    {line}\n" for line in schema_text(kind).splitlines())
    title = f'??? note "JSON Schema of `{kind}` files"'
    return f"[`{kind}.json`](schemas/{kind}.json)\n\n{title}\n\n    ```json\n{text}    ```\n"

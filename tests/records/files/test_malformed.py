"""Every malformed file gets exactly the lines that are written next to it.

`NAME.txt` holds the expected lines, with `{file}` where the message names the file.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dtkd_opt.errors import InputError
from dtkd_opt.records.instance import read_instance
from tests.support.paths import DATA

FOLDER = DATA / "malformed"
FILES = sorted(FOLDER.glob("*.json"))


def message(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_instance(path)
    return str(caught.value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_message(path: Path) -> None:
    expected = path.with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n")
    got = message(path)
    assert got == expected.replace("{file}", str(path))
    assert got
    assert all(line.startswith(f"{path}: ") for line in got.split("\n"))


def test_files_are_many_and_each_has_its_lines() -> None:
    assert len(FILES) >= 35
    assert {path.stem for path in FILES} == {path.stem for path in FOLDER.glob("*.txt")}


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000])
def test_nesting_beyond_the_parser(tmp_path: Path, text: str) -> None:
    """Too large to be kept as a file."""
    path = tmp_path / "deep.json"
    path.write_text(text)
    assert message(path) == f"{path}: is nested too deeply to be a file of this project"

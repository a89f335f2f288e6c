"""The journal: its lock, and rows that it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dtkd_opt.errors import InputError
from dtkd_opt.records.fields import Record
from dtkd_opt.runtime.jobs import Row
from dtkd_opt.runtime.journal import Journal


class Number(Record):
    number: int


class Counted(Row):
    spec: Number
    outcome: str


SPECS = [Number(number=number) for number in range(3)]
SECOND = """
import sys
from pathlib import Path
from tests.runtime.test_journal import open_journal
try:
    open_journal(Path(sys.argv[1]))
except Exception as error:
    print(error, end="")
"""


def open_journal(path: Path) -> Journal[Counted]:
    return Journal(path, Counted, SPECS, True, "name another")


def test_one_program_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    given = [sys.executable, "-c", SECOND, str(path)]
    with open_journal(path) as journal:
        journal.append(Counted(spec=SPECS[0], outcome="done"))
        before = path.read_bytes()
        second = subprocess.run(given, capture_output=True, text=True)
        fault = "another program is at work there; let it end, or name another"
        assert second.stdout == f"{path}: {fault}"
        assert path.read_bytes() == before
    assert subprocess.run(given, capture_output=True, text=True).stdout == ""
    assert [file.name for file in tmp_path.iterdir()] == ["rows.jsonl"]
    with open_journal(path) as journal:
        assert [*journal.rows] == SPECS[:1]


def test_rows_of_another_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"asked": {"number": 0}, "outcome": "done"}\n')
    with pytest.raises(InputError, match=r"jsonl, line 1: is of another version; name another$"):
        open_journal(path)

"""Tables of a solution and the live line: figures, units, names as they are."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from dtkd_opt.reporting import summary
from tests.support.command_line import run
from tests.support.instances import ODD


def test_solve_shows_them_as_they_are(odd: Path, tmp_path: Path) -> None:
    done = run("solve", odd, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{ODD}: optimal" in done.stdout
    assert done.stdout.count(ODD) == 1 + 3  # a title, and a server's three pools
    assert r"] $\m$" in done.stdout


def test_the_live_line_shows_phases_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, width=80)
    monkeypatch.setattr(summary, "Console", lambda stderr: terminal)
    with summary.live_line() as show:
        show(ODD)
    assert ODD in shown.getvalue()

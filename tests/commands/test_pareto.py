"""The command `pareto`: its options."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import run
from tests.support.paths import INSTANCES


@pytest.mark.parametrize("names", [("--min-weight", "--max-weight"), ("--least", "--most")])
def test_the_ends_of_the_weights(names: tuple[str, str], tmp_path: Path) -> None:
    """Also by the names that they had before."""
    pytest.importorskip("pandas")
    words = ["--points", "2", names[0], "50", names[1], "200"]
    done = run("pareto", INSTANCES / "n5.json", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rows = (tmp_path / "n5.pareto.csv").read_text().splitlines()
    assert [float(row.split(",")[0]) for row in rows[1:]] == [50, 200]

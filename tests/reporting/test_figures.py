"""The style of figures, and names in them as they are."""

from __future__ import annotations

from pathlib import Path

from tests.support import comparing
from tests.support.command_line import run
from tests.support.instances import ODD

HIDDEN = r"_[/x] $\bar$"  # matplotlib leaves out of legends what begins with _


def test_pareto_shows_and_draws_them_as_they_are(odd: Path, tmp_path: Path) -> None:
    plan = tmp_path / f"{HIDDEN.replace('/', '')}.json"
    assert run("solve", odd, "--method", "greedy", "--output", plan).returncode == 0
    done = run("pareto", odd, "--points", "2", "--beside", plan, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert ODD in done.stdout
    drawn = (tmp_path / "odd.pareto.svg").read_text()
    assert f"<!-- {ODD}: accuracy against delay -->" in drawn
    assert f"<!-- {plan.stem} -->" in drawn


def test_compare_shows_and_draws_them_as_they_are(odd: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f"['{HIDDEN}']\nmethod = 'q-learning'\nrounds = 3\n")
    given = comparing.words(odd, methods="greedy", output=tmp_path / "out", seeds=1)
    done = comparing.run([*given, "--method", HIDDEN, "--params", str(file)])
    assert (done.returncode, done.stderr) == (0, "")
    assert ODD in done.stdout
    assert "_[/x]" in done.stdout
    for name in ("gap_over_time.svg", "accuracy_delay.svg"):
        drawn = (tmp_path / "out" / name).read_text()
        assert f"<!-- {ODD} -->" in drawn
        assert f"<!-- {HIDDEN} -->" in drawn

"""Names that rich and matplotlib would take for their own: markup, emoji, mathematics."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import dtkd_opt as do
from dtkd_opt.reporting import summary
from tests.support import comparing
from tests.support.command_line import run
from tests.support.paths import INSTANCES

ODD = r"[/a] $\foo$ :cat:"
HIDDEN = r"_[/x] $\bar$"  # matplotlib leaves out of legends what begins with _


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A file of five users in which everything is named oddly, the file too."""
    instance = do.read_instance(INSTANCES / "n5.json")
    changed = instance.replace(
        name=ODD,
        servers=tuple(one.replace(name=ODD) for one in instance.servers),
        models=tuple(
            one.replace(name=f"[/{number}] $\\m$") for number, one in enumerate(instance.models)
        ),
    )
    do.write_instance(changed, tmp_path / "odd.json")
    return tmp_path / "odd.json"


def test_solve_shows_them_as_they_are(odd: Path, tmp_path: Path) -> None:
    done = run("solve", odd, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{ODD}: optimal" in done.stdout
    assert done.stdout.count(ODD) == 1 + 3  # a title, and a server's three pools
    assert r"] $\m$" in done.stdout


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


def test_the_live_line_shows_phases_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, width=80)
    monkeypatch.setattr(summary, "Console", lambda stderr: terminal)
    with summary.live_line() as show:
        show(ODD)
    assert ODD in shown.getvalue()


def test_figures_of_a_federation_show_names_as_they_are() -> None:
    pytest.importorskip("torch")
    from dtkd_opt.federate.figures import accuracy_figure, gantt
    from dtkd_opt.federate.timeline import STAGES, Timeline
    from dtkd_opt.reporting.figures import svg

    words = {"name": ["$\\foo$", "b"], "model": ["m", "m"], "place": ["device", "server"]}
    figures = {"predicted_accuracy": [0.8, 0.9], "realised_accuracy": [0.7, 0.9]}
    users = pd.DataFrame(words | figures)
    timeline = Timeline(np.array([0, 1]), {stage: np.ones(2) for stage in STAGES})
    odd: Any = SimpleNamespace(
        instance=SimpleNamespace(name="[/a] $\\foo$"),
        data="d",
        users=users,
        done=users,
        timeline=timeline,
    )
    for figure in (gantt(odd), accuracy_figure(odd)):
        assert svg(figure, "odd")

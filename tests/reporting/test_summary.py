"""Tables of a solution and the live line: figures, units, names as they are."""

from __future__ import annotations

import io
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import dtkd_opt as do
from dtkd_opt.reporting import summary
from dtkd_opt.reporting.summary import as_text, make_table
from tests.support.command_line import run
from tests.support.instances import ODD
from tests.support.paths import INSTANCES


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


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the rows of the table with this heading."""
    below = text[text.index(heading) :].splitlines()[2:]  # after its line and the rule
    inside = takewhile(lambda line: line.startswith("│"), below)
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in inside]


def test_figures_of_a_solution_are_in_the_first_table() -> None:
    result = do.solve(do.read_instance(INSTANCES / "n5.json"))
    found = dict(rows(as_text(summary.summary(result.instance, result.solution)), "figure"))
    assert found["users, servers"] == "5, 1"
    assert float(found["objective J (s)"]) == pytest.approx(result.objective, abs=1e-6)
    assert float(found["proven lower bound (s)"]) == pytest.approx(result.bound, abs=1e-6)
    assert found["stopped because"] == "gap reached"


def test_students_are_counted_where_they_train() -> None:
    result = do.solve(do.generate_instance(30, 2, 1))
    users = result.solution.users
    text = as_text(summary.summary(result.instance, result.solution))
    for name, device, server, delay, accuracy in rows(text, "on the device"):
        mine = [user for user in users if user.model == name]
        assert int(device) == sum(user.place == "device" for user in mine)
        assert int(server) == sum(user.place == "server" for user in mine)
        assert float(delay) == pytest.approx(np.mean([u.delay_s for u in mine]), abs=1e-3)
        assert accuracy == f"{np.mean([u.accuracy for u in mine]):.2%}"
    assert len(rows(text, "on the device")) == len(set(users.model))


def test_pools_have_units_and_prices_where_they_are_known() -> None:
    """One percent of 2 MHz at 1e-6 s per Hz is worth 0.02 s."""
    instance = do.read_instance(INSTANCES / "n5.json")
    server = instance.servers[0].replace(uplink_hz=2e6, downlink_hz=500.0, cpu_hz=4e10)
    instance = instance.replace(servers=[server])
    solution = do.solve(instance, "greedy").solution
    prices = np.array([[1e-6], [0.0], [0.0]])
    known, unknown = (
        rows(as_text(summary.summary(instance, solution, given)), "1 % is worth")
        for given in (prices, None)
    )
    assert [row[2] for row in known] == ["2 MHz", "500 Hz", "40 Gcycles/s"]
    assert [row[4] for row in known] == ["0.0200", "-", "-"]
    assert [row[4] for row in unknown] == ["-"] * 3


def test_without_a_plan_there_are_figures_only() -> None:
    instance = do.generate_instance(2)
    late = instance.replace(users=instance.users.replace(deadline_s=np.full(2, 1e-9)))
    (table,) = summary.summary(late, do.solve(late).solution)
    assert "objective" not in as_text([table])
    assert table.title == f"{late.name}: infeasible"


def test_texts_stand_at_the_left_and_numbers_at_the_right() -> None:
    table = make_table("t", ["name"], ["value"], [("a", "1"), ("b", "12.5")])
    assert [column.justify for column in table.columns] == ["left", "right"]


def test_where_nobody_looks_the_live_line_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with summary.live_line() as show:
        show("phase")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("columns", ["0", "20", "40", "nonsense"])
def test_numbers_are_whole_on_every_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    numbers = [f"{10.0**n:.6f}" for n in range(-3, 9, 2)]
    headings = [f"a long heading {n}" for n in range(len(numbers))]
    table = make_table("a title", ["name"], headings, [("a name of some words", *numbers)])
    cells = as_text([table]).replace("│", " ").split()
    assert set(numbers) <= set(cells)


def test_what_a_terminal_obeys_is_escaped_in_tables() -> None:
    text = as_text([make_table("\x1b[1m", ["\x00"], ["b"], [("\u202e", "\x07")])])
    assert text.replace("\n", "").isprintable()
    for escaped in (r"\x1b[1m", r"\x00", r"\u202e", r"\x07"):
        assert escaped in text


def test_a_terminal_that_is_gone_stops_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    terminal = Console(file=Gone(), force_terminal=True, width=80)
    monkeypatch.setattr(summary, "Console", lambda stderr: terminal)
    with summary.live_line() as show:
        show("phase")

"""The style of figures, and names in them as they are."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from dtkd_opt.reporting.figures import colour_and_marker, legend_below, panels, svg
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


def test_lines_are_told_apart_by_colour_and_marker() -> None:
    pairs = [colour_and_marker(number) for number in range(49)]
    assert len(set(pairs)) == 49
    assert len({colour for colour, _ in pairs[:7]}) == len({marker for _, marker in pairs[:7]}) == 7


def test_panels_are_rows_and_columns_with_shared_axes() -> None:
    figure, axes = panels(2, 3, (6.0, 4.0), sharex=True)
    assert axes.shape == (2, 3)
    assert tuple(figure.get_size_inches()) == (6.0, 4.0)
    axes[0, 0].set_xlim(0, 7)
    assert axes[1, 2].get_xlim() == (0, 7)


def test_a_legend_has_each_label_once_and_as_it_is() -> None:
    figure, axes = panels(1, 2, (4.0, 2.0))
    for axis in axes.flat:
        axis.plot([0, 1], label="$\\foo$")
    axes[0, 0].plot([1, 0], label="second")
    legend_below(figure, 2)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["$\\foo$", "second"]
    assert not any(text.get_parse_math() for text in legend.get_texts())


def test_the_same_figure_and_name_give_the_same_bytes() -> None:
    def drawn(name: str) -> bytes:
        figure, axes = panels(1, 1, (2.0, 2.0))
        axes[0, 0].fill_between([0, 1], [0, 1], hatch="/")  # patterns have ids, by the name
        return svg(figure, name)

    first = drawn("a")
    assert b"<svg" in first
    assert drawn("a") == first != drawn("b")


def test_names_that_no_xml_holds_are_escaped() -> None:
    figure, ((axis,),) = panels(1, 1, (3, 2))
    axis.plot([1], [1], label="a\0")
    axis.set_title("\x1b[31m\ufffe", parse_math=False)
    legend_below(figure, 1)
    text = svg(figure, "odd").decode()
    ElementTree.fromstring(text)
    assert r"<!-- \x1b[31m\ufffe -->" in text
    assert r"<!-- a\x00 -->" in text

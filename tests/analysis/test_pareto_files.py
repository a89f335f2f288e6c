"""The files of a sweep: its table, its figure, plans beside, and what cannot be written."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import dtkd_opt as do
from dtkd_opt.analysis.pareto_files import evaluate_plans, write_front
from dtkd_opt.commands.main import cli
from tests.support.paths import INSTANCES

pareto: Any = import_module("dtkd_opt.analysis.pareto")  # `do.pareto` is its function


def test_the_table_and_the_figure_are_written(front: do.ParetoFront, tmp_path: Path) -> None:
    plan = do.solve(front.instance, "greedy").solution
    do.write_solution(plan, tmp_path / "greedy.solution.json")
    beside = evaluate_plans(front.instance, [tmp_path / "greedy.solution.json"])
    assert beside["greedy"].total_delay_s == pytest.approx(plan.total_delay_s)
    table, figure = write_front(front, tmp_path / "p.csv", beside)
    read = pd.read_csv(table)
    assert read.mean_accuracy.to_numpy() == pytest.approx(front.frame.mean_accuracy.to_numpy())
    drawn = figure.read_bytes()
    assert b"<svg" in drawn
    write_front(front, tmp_path / "p.csv", beside)
    assert figure.read_bytes() == drawn


@pytest.mark.parametrize(
    ("output", "error", "said"),
    [
        ("x.svg", do.UsageError, "x.svg is also the name of a file beside the table; name it .csv"),
        ("n5.json", do.InputError, "n5.json: would be overwritten; name another output"),
        ("./n5.json", do.InputError, "n5.json: would be overwritten"),
        ("n.parquet", do.UsageError, "n.parquet is named like a table of users; name it .csv"),
        ("greedy.csv", do.InputError, "greedy.svg: would be overwritten"),
        ("no/x.csv", do.InputError, "no/x.csv: cannot be written: No such file or directory"),
        (".", do.InputError, ".: cannot be written: Is a directory"),
        ("folder.csv", do.InputError, "folder.svg: cannot be written: Is a directory"),
    ],
)
def test_files_that_cannot_be_written_are_found_before_the_sweep(
    output: str,
    error: type[Exception],
    said: str,
    front: do.ParetoFront,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(INSTANCES / "n5.json", "n5.json")
    Path("n.parquet").write_text("a table of users, which an instance of any name may be of")
    Path("folder.svg").mkdir()
    plan = do.solve(do.read_instance(Path("n5.json")), "greedy").solution
    do.write_solution(plan, Path("greedy.svg"))  # of whatever name
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    monkeypatch.setattr(pareto, "_sweep", None)  # never called
    words = ["pareto", "n5.json", "--beside", "greedy.svg", "--output", output]
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, error)
    assert said in str(done.exception)
    if output in ("x.svg", "no/x.csv", "folder.csv"):
        with pytest.raises(error):
            write_front(front, Path(output))
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == before


def test_plans_beside_must_be_of_the_same_users(front: do.ParetoFront, tmp_path: Path) -> None:
    other = do.solve(do.read_instance(INSTANCES / "n5.json"), "greedy").solution
    do.write_solution(other, tmp_path / "n5.json")
    with pytest.raises(do.InputError, match=r"n5\.json"):
        evaluate_plans(front.instance, [tmp_path / "n5.json"])

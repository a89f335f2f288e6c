"""Options of the command line that stand for single settings of methods."""

from __future__ import annotations

import json
from pathlib import Path

import dtkd_opt as do
from tests.support.command_line import run, written
from tests.support.comparing import N5


def test_labels_are_told_where_one_is_unknown_or_an_option_is_for_them(tmp_path: Path) -> None:
    file = written(tmp_path, '[mine]\nmethod = "q-learning"\n')
    for name, end in (("mines", 'did you mean "mine"?'), ("magic", "random, mine")):
        done = run("solve", N5, "--method", name, "--params", file, cwd=tmp_path)
        assert (done.returncode, done.stderr.strip().endswith(end)) == (2, True)
    done = run("solve", N5, "--method", "mine", "--params", file, "--cold", cwd=tmp_path)
    said = '--cold belongs to --method q-learning; for "mine" set cold in its table of --params\n'
    assert (done.returncode, done.stderr) == (2, said)


def test_an_option_counts_more_than_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "[q-learning]\ncold = false\nrounds = 40\n")
    done = run("solve", N5, "--params", file, "--cold", "--gap", "0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "n5.solution.json").read_text())
    assert found["method"] == "q-learning"
    method = do.QLearning(cold=True, rounds=40)
    want = do.solve(do.read_instance(N5), method, gap=0.0)
    assert found["incumbent_objective"] == want.objective


def test_an_option_within_what_is_no_table(tmp_path: Path) -> None:
    file = written(tmp_path, "[exact]\nhighs = 3\n")
    done = run("solve", N5, "--params", file, "--threads", "2", cwd=tmp_path)
    assert (done.returncode, "highs: must be an object" in done.stderr) == (1, True)
    assert len(done.stderr.strip().splitlines()) == 1


def test_auto_takes_the_settings_of_price(tmp_path: Path) -> None:
    file = written(tmp_path, "[price]\nstart = 3\n")
    done = run("solve", N5, "--params", file, cwd=tmp_path)
    assert done.returncode == 1
    assert "start: must be a list" in done.stderr
    file = written(tmp_path, "[price]\nstart = [[1e-6, 1e-6], [1e-6, 1e-6], [1e-9, 1e-9]]\n")
    done = run("solve", N5, "--params", file, cwd=tmp_path)
    assert done.returncode == 2
    assert "start must be prices of 3 pools at 1 server" in done.stderr


def test_an_option_of_another_method_is_refused(tmp_path: Path) -> None:
    done = run("solve", N5, "--method", "exact", "--cold", cwd=tmp_path)
    assert done.returncode == 2
    assert "--cold belongs to --method q-learning" in done.stderr

"""Settings of methods from a TOML file, and single ones on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import INSTANCES
from test_cli import run

import dtkd_opt as do
from dtkd_opt.methods.settings import make_params, read_settings

N5 = INSTANCES / "n5.json"


def written(folder: Path, text: str) -> Path:
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_tables_become_the_records_of_their_methods(tmp_path: Path) -> None:
    text = "[q-learning]\ncold = true\nrounds = 30\nepsilon = 1\n[exact.highs]\nthreads = 1\n"
    tables = read_settings(written(tmp_path, text))
    learning = make_params("q-learning", tables["q-learning"])
    assert learning == do.QLearningParams(cold=True, rounds=30, epsilon=1.0)
    exact = make_params("exact", tables["exact"])
    assert exact == do.ExactParams(highs=do.HighsParams(threads=1))
    assert make_params("price", {}) is None


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("[q-learning]\nrounds = 0", 1, "rounds: must be at least 1, got 0"),
        ("[q-learning]\nlearning_rate = 0.0", 1, "learning_rate: must be"),
        ("[q-learning]\nepsilon = 1.5", 1, "epsilon: must be"),
        ("[q-learning]\ndiscount = 1.0", 1, "discount: must be"),
        ("[q-learning]\nround = 3", 1, "round: is not a known key"),
        ("[q-learner]\nrounds = 3", 1, "q-learner: there is no such method"),
        ("rounds: 3", 1, "is not TOML"),
        ("q-learning = 3", 1, "q-learning: must be a table of settings, [q-learning], got 3"),
        ("[auto]\nrounds = 3", 1, "auto: there is no such method"),
        ("[greedy]\nrounds = 3", 2, "greedy takes no settings, got rounds"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, code: int, line: str, tmp_path: Path) -> None:
    method = "greedy" if "greedy" in text else "q-learning"
    file = written(tmp_path, text)
    done = run("solve", N5, "--method", method, "--params", file, cwd=tmp_path)
    assert done.returncode == code
    assert line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_option_counts_more_than_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "[q-learning]\ncold = false\nrounds = 40\n")
    done = run("solve", N5, "--params", file, "--cold", "--gap", "0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "n5.solution.json").read_text())
    assert found["method"] == "q-learning"
    params = do.QLearningParams(cold=True, rounds=40)
    want = do.solve(do.read_instance(N5), "q-learning", params=params, gap=0.0)
    assert found["incumbent_objective"] == want.objective


def test_an_option_within_what_is_no_table(tmp_path: Path) -> None:
    file = written(tmp_path, "[exact]\nhighs = 3\n")
    done = run("solve", N5, "--params", file, "--threads", "2", cwd=tmp_path)
    assert (done.returncode, "highs: must be an object" in done.stderr) == (1, True)
    assert len(done.stderr.strip().splitlines()) == 1


def test_auto_takes_the_settings_of_price(tmp_path: Path) -> None:
    file = written(tmp_path, "[price]\nstart = 3\n")
    done = run("solve", N5, "--params", file, cwd=tmp_path)
    assert done.returncode == 2
    assert "price takes no settings, got start" in done.stderr


def test_an_option_of_another_method_is_refused(tmp_path: Path) -> None:
    done = run("solve", N5, "--method", "exact", "--cold", cwd=tmp_path)
    assert done.returncode == 2
    assert "--cold belongs to --method q-learning" in done.stderr

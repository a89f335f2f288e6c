"""Settings of methods from a TOML file, and single ones on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dtkd_opt as do
from dtkd_opt.methods.registry import make_method
from dtkd_opt.methods.settings import read_settings
from tests.support.command_line import run
from tests.support.paths import INSTANCES

N5 = INSTANCES / "n5.json"


def written(folder: Path, text: str) -> Path:
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_tables_become_the_records_of_their_methods(tmp_path: Path) -> None:
    text = "[q-learning]\ncold = true\nrounds = 30\nepsilon = 1\n[exact.highs]\nthreads = 1\n"
    tables = read_settings(written(tmp_path, text))
    learning = make_method("q-learning", tables["q-learning"], "params")
    assert learning == do.QLearning(cold=True, rounds=30, epsilon=1.0)
    exact = make_method("exact", tables["exact"], "params")
    assert exact == do.Exact(highs=do.HighsSettings(threads=1))
    assert make_method("price", {}, "params") == do.Price()


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
        ("deep = " + "[" * 5000 + "]" * 5000, 1, "is nested too deeply for settings"),
        ("long = 1" + "0" * 5000, 1, "is not TOML: Exceeds the limit"),
        ("[q-learning]\nlearning_rate = '0.1'", 1, 'learning_rate: must be a number, got "0.1"'),
        ("[q-learning]\nlearning_rate = true", 1, "learning_rate: must be a number, got true"),
        ("[q-learning]\nlevels = '3'", 1, "levels: must be a whole number"),
        ("[q-learning]\ncold = 'no'", 1, 'cold: must be true or false, got "no"'),
        ("[q-learning]\ncold = 1", 1, "cold: must be true or false, got 1"),
        ("[q-learning]\ndiscount = nan", 1, "discount: must be"),
        ("[q-learning]\nfinal_epsilon = '0.1'", 1, "final_epsilon: must be a number"),
        ("[q-learning]\nepsilon = 0.1\nfinal_epsilon = 0.2", 1, "final_epsilon: must be at most"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, code: int, line: str, tmp_path: Path) -> None:
    method = "greedy" if "greedy" in text else "q-learning"
    file = written(tmp_path, text)
    done = run("solve", N5, "--method", method, "--params", file, cwd=tmp_path)
    assert done.returncode == code
    assert line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_network_that_is_no_file_is_said_in_words(tmp_path: Path) -> None:
    file = written(tmp_path, "[dqn]\nnetwork = 3\n")
    done = run("solve", N5, "--method", "dqn", "--params", file, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("network: must be the name of a file in quotes, got 3\n")


def test_who_never_explores_needs_no_last_rate() -> None:
    assert do.QLearning(epsilon=0.0).final_epsilon > 0


def test_settings_of_another_method_are_refused_by_methods_without_any() -> None:
    for method in ("greedy", "random"):
        with pytest.raises(do.UsageError, match=rf"QLearning\(.*\) holds no settings of {method}"):
            make_method(method, do.QLearning(), "settings")
        with pytest.raises(do.UsageError, match=f"3 holds no settings of {method}"):
            make_method(method, 3, "settings")  # type: ignore[arg-type]
        with pytest.raises(do.UsageError, match=f"{method} takes no settings, got rounds"):
            do.get_method(method, rounds=3)


def test_labels_are_told_where_one_is_unknown_or_an_option_is_for_them(tmp_path: Path) -> None:
    file = written(tmp_path, '[mine]\nmethod = "q-learning"\n')
    done = run("solve", N5, "--method", "mines", "--params", file, cwd=tmp_path)
    assert (done.returncode, done.stderr.strip().endswith("random, mine")) == (2, True)
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

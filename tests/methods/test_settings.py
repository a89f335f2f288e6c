"""Settings of methods from a TOML file."""

from __future__ import annotations

from pathlib import Path

import pytest

import dtkd_opt as do
from dtkd_opt.methods.registry import make_method
from dtkd_opt.methods.settings import read_settings
from tests.support.command_line import run, written
from tests.support.comparing import N5


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
        (
            "[q-learning]\nrounds = 0",
            1,
            "mine.toml [q-learning]: rounds: must be at least 1, got 0",
        ),
        ("[q-learning]\nlearning_rate = 0.0", 1, "learning_rate: must be"),
        ("[q-learning]\nepsilon = 1.5", 1, "epsilon: must be"),
        ("[q-learning]\ndiscount = 1.0", 1, "discount: must be"),
        ("[q-learning]\nround = 3", 1, "round: is not a known key"),
        ("[q-learner]\nrounds = 3", 1, "q-learner: there is no such method"),
        ("rounds: 3", 1, "is not TOML"),
        ("q-learning = 3", 1, "q-learning: must be a table of settings, [q-learning], got 3"),
        ("[auto]\nrounds = 3", 1, "auto: there is no such method"),
        ("[greedy]\nrounds = 3", 1, "[greedy]: greedy takes no settings, got rounds"),
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
        with pytest.raises(do.InputError, match=f"{method} takes no settings, got rounds"):
            do.get_method(method, rounds=3)

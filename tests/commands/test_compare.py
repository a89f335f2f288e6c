"""The command `compare`: its options."""

from __future__ import annotations

from pathlib import Path

from tests.support.comparing import N5, lines, run, words


def test_cold_is_for_q_learning_only(tmp_path: Path) -> None:
    given = words(N5, methods="q-learning price", output=tmp_path / "out", seeds=1)
    done = run([*given, "--cold", "--iterations", "20"])
    assert done.returncode == 0, done.stderr
    cold = {
        row["spec"]["label"]: row["spec"]["settings"].get("cold") for row in lines(tmp_path / "out")
    }
    assert cold == {"q-learning": True, "price": None}


def test_options_of_methods_that_are_not_compared_are_refused(tmp_path: Path) -> None:
    done = run([*words(N5, methods="price", output=tmp_path / "out"), "--cold"])
    assert (done.returncode, done.stderr) == (2, "--cold belongs to --method q-learning\n")

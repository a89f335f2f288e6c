"""Errors: lines for the user, and the exit codes of the command line."""

from __future__ import annotations

import pytest

import dtkd_opt as do
from dtkd_opt.errors import (
    KEPT_FAULTS,
    DtkdError,
    InfeasibleError,
    InputError,
    UsageError,
    printable,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zürich 用户 ρ", "Zürich 用户 ρ"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\u2028\ud800", r"\u2028\ud800"),
    ],
)
def test_what_a_terminal_might_obey_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_each_fault_is_a_line_that_names_the_file() -> None:
    error = InputError("a\nb.json", ["name: must be given", "users: is missing"])
    assert str(error).split("\n") == [
        r"a\nb.json: name: must be given",
        r"a\nb.json: users: is missing",
    ]
    assert error.faults == ("name: must be given", "users: is missing")


def test_only_faults_and_reasons_are_of_several_lines() -> None:
    for kind in (DtkdError, UsageError, do.NoPlanError):
        assert str(kind("a\nb")) == r"a\nb"
    assert str(InfeasibleError("a\nb")) == "a\nb"


@pytest.mark.parametrize(
    ("count", "rest"),
    [(20, None), (21, "… and 1 more faults"), (KEPT_FAULTS, "… and at least 980 more faults")],
)
def test_of_many_faults_the_first_twenty_are_shown(count: int, rest: str | None) -> None:
    shown = str(InputError("f", [f"fault {n}" for n in range(count)])).split("\n")
    assert shown[:20] == [f"f: fault {n}" for n in range(20)]
    assert shown[20:] == ([f"f: {rest}"] if rest else [])


def test_exit_codes_tell_wrong_files_wrong_use_and_no_plan_apart() -> None:
    kinds = (DtkdError, InputError, UsageError, InfeasibleError)
    assert [kind.exit_code for kind in kinds] == [1, 1, 2, 3]
    ends = (do.NoPlanError, do.ChoiceInfeasible, do.TimeIsUp)
    assert [kind.exit_code for kind in ends if issubclass(kind, DtkdError)] == [3, 3, 3]

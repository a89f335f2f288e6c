"""Solutions as records, files and frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import dtkd_opt as do
from dtkd_opt.records.solution import as_solution

INSTANCE = do.generate_instance(
    6, 2, 1, do.GeneratorSettings(deadlines=0.5, energy_budgets=0.5, accuracy_floors=0.5)
)

SOLUTION = do.solve(INSTANCE).solution


def test_solution_files_round_trip(tmp_path: Any) -> None:
    file = tmp_path / "s.json"
    do.write_solution(SOLUTION, file)
    assert do.read_solution(file) == SOLUTION
    frame = SOLUTION.to_frame()
    assert list(frame["name"]) == [u.name for u in INSTANCE.users]
    assert frame["delay_s"].sum() == pytest.approx(SOLUTION.total_delay_s)


def test_a_result_counts_as_its_solution() -> None:
    result = do.solve(do.generate_instance(2), "greedy")
    assert as_solution(result) is as_solution(result.solution) is result.solution
    with pytest.raises(do.UsageError, match="needs a Solution or the Result of solve, got dict"):
        as_solution({})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"status": "optimal"', '"status": "best"', "status: must be"),
        ('"place": "device"', '"place": "cloud"', ".place: must be"),
        ('"total_delay_s": ', '"total_delay_s": -', "total_delay_s: must be at least 0"),
        ('"seed": 0', '"seed": 0, "speed": 1', "speed: is not a known key"),
    ],
)
def test_damaged_solutions_are_refused_with_the_place(
    old: str, new: str, fault: str, tmp_path: Path
) -> None:
    text = SOLUTION.to_bytes().decode()
    assert old in text
    (tmp_path / "s.json").write_text(text.replace(old, new, 1))
    with pytest.raises(do.InputError) as caught:
        do.read_solution(tmp_path / "s.json")
    assert str(caught.value).startswith(f"{tmp_path / 's.json'}: ")
    assert fault in str(caught.value)

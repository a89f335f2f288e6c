"""Solutions as records, files and frames."""

from __future__ import annotations

from typing import Any

import pytest

import dtkd_opt as do

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

"""The engine reads each outcome once, and never half of one."""

from __future__ import annotations

import json
from pathlib import Path

from dtkd_opt.federation.flower.status_files import append_outcome, read_outcomes
from dtkd_opt.federation.party_data import PartyData
from dtkd_opt.federation.user_training import UserTraining, UserTrainingResult


def test_outcomes_are_read_once_and_whole(
    wanted: list[tuple[PartyData, UserTraining]], tmp_path: Path
) -> None:
    rows = [UserTrainingResult(spec=spec, outcome="done", accuracy=0.5) for _, spec in wanted]
    assert list(read_outcomes(tmp_path, 0)) == []
    append_outcome(tmp_path, rows[0])
    append_outcome(tmp_path, rows[1])
    with (tmp_path / "outcomes.jsonl").open("ab") as file:
        file.write(json.dumps({"spec": "half"}).encode())
    assert list(read_outcomes(tmp_path, 0)) == rows[:2]
    assert list(read_outcomes(tmp_path, 1)) == rows[1:2]

"""One run of a comparison as a row: what it may say, and where it is not run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dtkd_opt as do
from dtkd_opt.analysis.compare.run import execute
from tests.support.comparing import N5, lines


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"gap": 0.5}, "gap: must be 0.0"),
        ({"gap": None}, "gap: must be 0.0"),
        ({"objective_bound": 1e6}, "objective_bound: must be at most the plan's"),
        ({"objective_bound": None}, "gap: must be null where"),
        ({"incumbent_objective": None}, "incumbent_objective: must be a number"),
    ],
)
def test_rows_that_contradict_themselves_are_refused(
    change: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    do.compare([do.read_instance(N5)], ["greedy"], seeds=1, output=tmp_path)
    (row,) = lines(tmp_path)
    (tmp_path / "runs.jsonl").write_text(json.dumps(row | change) + "\n")
    with pytest.raises(do.InputError, match=rf"runs\.jsonl, line 1: {fault}"):
        do.compare([do.read_instance(N5)], ["greedy"], seeds=1, output=tmp_path)


def test_a_worker_of_another_version_does_not_run() -> None:
    found = do.compare([do.read_instance(N5)], ["greedy"], seeds=1).records[0]
    other = found.spec.replace(version="dtkd-opt 0.0.1")
    row = execute(do.read_instance(N5), other)
    assert (row.outcome, row.incumbent_objective) == ("failed", None)
    assert "the run needs dtkd-opt 0.0.1" in row.reason

"""What is said of a proof that stays open, and who else is asked."""

from __future__ import annotations

import pytest

import dtkd_opt as do
from dtkd_opt.methods.branching import Branching
from dtkd_opt.methods.exact import OuterApproximation
from dtkd_opt.solvers.clarabel import MasterQP
from dtkd_opt.solvers.highs import MasterLP
from tests.support.paths import INSTANCES


def test_exact_that_stalls_names_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OuterApproximation, "run", lambda self: "stalled")
    result = do.solve(do.read_instance(INSTANCES / "n10-s3.json"), "exact")
    assert result.status == "feasible"
    assert "exact ended with a gap of" in result.reason
    assert "--method price" in result.reason


def test_auto_asks_highs_where_branching_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Branching, "run", lambda self, max_nodes=None: "stalled")
    result = do.solve(do.read_instance(INSTANCES / "n10-s3.json"))
    assert result.status == "optimal"
    assert any(progress.phase.startswith("HiGHS") for progress in result.history)


def test_a_wide_gap_says_what_limits_it() -> None:
    """Few users at many servers: what the best prices leave is told."""
    result = do.solve(do.generate_instance(40, 40, seed=0), time_limit=1.0)
    assert result.gap > 1e-3
    assert "with 40 users at 40 servers the best prices leave a gap of" in result.reason
    assert "more time" in result.reason


@pytest.mark.parametrize(
    ("master", "name"), [(MasterLP, "n20-deadlines"), (MasterQP, "n10")], ids=["limits", "free"]
)
def test_a_master_that_fails_is_followed_by_another_step(
    master: type[MasterLP | MasterQP], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every other time: the proof ends all the same, and the trace tells."""
    maximise, calls = master.maximise, []

    def sometimes(self: MasterLP | MasterQP, *box: object) -> object:
        calls.append(box)
        if len(calls) % 2:
            raise ArithmeticError("price master: Unknown")
        return maximise(self, *box)  # type: ignore[arg-type]

    monkeypatch.setattr(master, "maximise", sometimes)
    result = do.solve(do.read_instance(INSTANCES / f"{name}.json"), "price")
    assert result.status == "optimal"
    phases = {progress.phase for progress in result.history}
    assert any("by demand (price master: Unknown)" in phase for phase in phases)

"""HiGHS: the master LP of the prices, MILPs that stay loaded, its options and its log."""

from __future__ import annotations

from pathlib import Path

import pytest

import dtkd_opt as do


def test_unknown_highs_option_is_refused() -> None:
    params = do.Exact(fixing=False, highs=do.HighsSettings(options={"no_such_option": 1}))
    with pytest.raises(do.UsageError, match="no_such_option"):
        do.solve(do.generate_instance(5), params)


def test_highs_log_is_written(tmp_path: Path) -> None:
    log = tmp_path / "highs.log"
    params = do.Exact(fixing=False, highs=do.HighsSettings(log_file=str(log), threads=1))
    do.solve(do.generate_instance(8), params)
    assert "HiGHS" in log.read_text()

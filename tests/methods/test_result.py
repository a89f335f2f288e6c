"""What a result says of itself."""

from __future__ import annotations

import math
from pathlib import Path

import dtkd_opt as do
from tests.support.command_line import run
from tests.support.paths import INSTANCES


def test_printed_it_shows_the_tables_of_the_command(tmp_path: Path) -> None:
    done = run("solve", INSTANCES / "n5.json", cwd=tmp_path)
    printed = str(do.solve(do.read_instance(INSTANCES / "n5.json"))).splitlines()
    shown = done.stdout.splitlines()[: len(printed)]
    assert len(printed) > 20
    assert [line.rstrip() for line in printed if "time (s)" not in line] == [
        line.rstrip() for line in shown if "time (s)" not in line
    ]


def test_its_plan_and_prices_are_those_of_the_incumbent() -> None:
    result = do.solve(do.generate_instance(5))
    assert result.incumbent is not None
    assert result.plan is result.incumbent.plan
    assert result.prices is result.incumbent.prices
    assert repr(result).startswith("<Result of price on n5: optimal, objective ")


def test_without_a_plan_there_is_still_something_to_print() -> None:
    users = do.generate_instance(3).users
    instance = do.generate_instance(3).replace(
        users=users.replace(deadline_s=users.samples * 1e-12)
    )
    result = do.solve(instance)
    assert (result.plan, result.prices, result.objective) == (None, None, math.inf)
    assert "n3: infeasible" in str(result)
    assert "downlink" not in str(result)  # no table of pools
    assert str(result).endswith(result.reason)

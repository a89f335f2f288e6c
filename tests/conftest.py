"""What several test files share and takes a while to make."""

from __future__ import annotations

import pytest
from helpers import Cases, constrained_case

import dtkd_opt as do


@pytest.fixture(scope="session")
def cases() -> Cases:
    """The allocations of 25 constrained choices."""
    found = []
    for seed in range(1000, 1100):
        table, choice = constrained_case(seed)
        try:
            found.append((table, choice, do.allocate(table, choice)))
        except do.ChoiceInfeasible:
            continue
        if len(found) == 25:
            break
    return found

"""What several test files share and takes a while to make."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import dtkd_opt as do
from tests.support import faulty_methods
from tests.support.options import Cases, constrained_case


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


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of trained teachers."""
    return tmp_path_factory.mktemp("teachers")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which faulty methods are installed, and HOLD is a file that is there."""
    folder = faulty_methods.install(tmp_path / "site")
    hold = tmp_path / "hold"
    hold.write_text("")
    path = os.pathsep.join([str(folder), *sys.path])
    return os.environ | {"PYTHONPATH": path, "HOLD": str(hold)}

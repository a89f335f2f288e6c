"""A sweep that several files here look at."""

from __future__ import annotations

import pytest

import dtkd_opt as do
from tests.support.paths import INSTANCES


@pytest.fixture(scope="session")
def front() -> do.ParetoFront:
    return do.pareto(do.read_instance(INSTANCES / "n20.json"), points=7)

"""An instance with its users in a table."""

from __future__ import annotations

from pathlib import Path

import pytest

import dtkd_opt as do
from tests.support.tabled import INSTANCE


@pytest.fixture
def head(tmp_path: Path) -> Path:
    """INSTANCE with its users in a table."""
    path = tmp_path / "n.json"
    assert do.write_instance(INSTANCE, path, users="parquet") == (path, tmp_path / "n.parquet")
    return path

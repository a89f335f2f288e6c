"""Names that rich and matplotlib would take for their own: markup, emoji, mathematics."""

from __future__ import annotations

from pathlib import Path

import pytest

import dtkd_opt as do
from tests.support.instances import ODD
from tests.support.paths import INSTANCES


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A file of five users in which everything is named oddly, the file too."""
    instance = do.read_instance(INSTANCES / "n5.json")
    changed = instance.replace(
        name=ODD,
        servers=tuple(one.replace(name=ODD) for one in instance.servers),
        models=tuple(
            one.replace(name=f"[/{number}] $\\m$") for number, one in enumerate(instance.models)
        ),
    )
    do.write_instance(changed, tmp_path / "odd.json")
    return tmp_path / "odd.json"

"""What the tests of Parquet tables share: an instance with its users in one, and what is said."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dtkd_opt as do

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

LIMITS = do.GeneratorSettings(deadlines=0.5, energy_budgets=0.5, accuracy_floors=0.5)
INSTANCE = do.generate_instance(8, 2, 1, LIMITS)


def message(read: Callable[[Path], object], path: Path) -> str:
    """What is said of a file, without the folder that it is in."""
    with pytest.raises(do.InputError) as caught:
        read(path)
    return str(caught.value).replace(f"{path.parent}{os.sep}", "")


def with_columns(head: Path, **columns: Any) -> None:
    """The table with some columns replaced, added, or (None) left out."""
    arrow = pq.read_table(head.with_suffix(".parquet"))
    kept = {key: arrow[key] for key in arrow.column_names if key not in columns}
    new = {key: value for key, value in columns.items() if value is not None}
    pq.write_table(pa.table({**kept, **new}), head.with_suffix(".parquet"))

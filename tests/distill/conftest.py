"""Data and a folder of teachers for all tests of distillation."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtkd_opt.distill.data import Dataset, load_data


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("teachers")


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_data("digits")

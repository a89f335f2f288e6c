"""Data for all tests of distillation."""

from __future__ import annotations

import pytest

from dtkd_opt.distill.data import Dataset, load_data


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_data("digits")

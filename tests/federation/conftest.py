"""Fixtures of all tests of federate: a small problem, its plan, data, and one finished run."""

from __future__ import annotations

from pathlib import Path

import pytest

import dtkd_opt as do
from dtkd_opt.distill.data import Dataset, load_data
from dtkd_opt.records.instance import Instance
from tests.support.federating import instance, plan, run, words, write


@pytest.fixture(scope="session")
def problem() -> Instance:
    return instance()


@pytest.fixture(scope="session")
def data() -> Dataset:
    return load_data("digits")


@pytest.fixture(scope="session")
def solution(problem: Instance) -> do.Solution:
    return plan(problem)


@pytest.fixture(scope="session")
def small(
    problem: Instance, solution: do.Solution, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return write(problem, solution, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def unbroken(small: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    done = run(words(small, cache, folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"{folder / 'summary.md'}\n")
    return folder

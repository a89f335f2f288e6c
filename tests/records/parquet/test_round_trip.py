"""Users in a Parquet table beside the JSON file: the same problem, the same lines for faults."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import dtkd_opt as do
from dtkd_opt.records import parquet as tables
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.parquet import PARQUET_MIN_USERS
from tests.support.instances import small_instance, user
from tests.support.strategies import instances
from tests.support.tabled import INSTANCE, message, pa, pq

# round trips -------------------------------------------------------------------------------------


@given(instance=instances())
@settings(max_examples=50, deadline=None)
def test_json_table_and_record_are_one(
    instance: Instance, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Also by hash: a solution of any of them is a solution of the others."""
    folder = tmp_path_factory.getbasetemp()
    do.write_instance(instance, folder / "a.json", users="json")
    do.write_instance(instance, folder / "b.json", users="parquet")
    inline, tabled = do.read_instance(folder / "a.json"), do.read_instance(folder / "b.json")
    assert inline == tabled == instance
    assert inline.to_bytes() == tabled.to_bytes() == instance.to_bytes()
    assert tuple(inline.users) == tuple(tabled.users) == tuple(instance.users)
    for one in (instance, inline, tabled):
        assert all(one.has_hash(other.sha256) for other in (instance, inline, tabled))
    changed = instance.replace(seconds_per_error=7e7)
    assert not changed.has_hash(tabled.sha256)


def test_a_tables_hash_is_of_its_contents(head: Path) -> None:
    """Not of how some version of some program packs them; every number counts."""
    before = do.read_instance(head)
    arrow = pq.read_table(head.with_suffix(".parquet"))
    kappa = arrow.column("kappa").to_numpy().copy()
    pq.write_table(arrow, head.with_suffix(".parquet"), compression="gzip", row_group_size=3)
    head.write_text(json.dumps(json.loads(head.read_text()), indent=4))
    assert do.read_instance(head).sha256 == before.sha256 == INSTANCE.hash_contents()
    kappa[5] = np.nextafter(kappa[5], 1)
    at = arrow.column_names.index("kappa")
    pq.write_table(arrow.set_column(at, "kappa", pa.array(kappa)), head.with_suffix(".parquet"))
    assert do.read_instance(head).sha256 != before.sha256
    assert not do.read_instance(head).has_hash(before.sha256)


def test_two_writes_give_the_same_bytes(head: Path) -> None:
    files = (head, head.with_suffix(".parquet"))
    before = [file.read_bytes() for file in files]
    do.write_instance(do.read_instance(head), head, users="parquet")
    assert [file.read_bytes() for file in files] == before
    assert sorted(os.listdir(head.parent)) == ["n.json", "n.parquet"]
    assert json.loads(head.read_text())["users"] == "n.parquet"


def test_solved_from_a_table_as_from_json(head: Path, tmp_path: Path) -> None:
    do.write_instance(INSTANCE, tmp_path / "inline.json")
    results = [
        do.solve(do.read_instance(tmp_path / f), gap=1e-9) for f in ("n.json", "inline.json")
    ]
    first, second = (result.solution for result in results)
    assert first.users == second.users
    assert first.incumbent_objective == second.incumbent_objective
    for form in ("json", "parquet"):
        do.write_solution(first, tmp_path / "s.json", users=form)
        again = do.read_solution(tmp_path / "s.json")
        assert again == first
        for instance in (
            INSTANCE,
            do.read_instance(head),
            do.read_instance(tmp_path / "inline.json"),
        ):
            assert do.check(instance, again) == []
    assert (tmp_path / "s.parquet").exists()


def test_solution_without_a_plan(tmp_path: Path) -> None:
    late = small_instance(user("late", deadline_s=1e-9))
    solution = do.solve(late).solution
    for form in ("json", "parquet"):
        do.write_solution(solution, tmp_path / "s.json", users=form)
        assert do.read_solution(tmp_path / "s.json") == solution


def test_other_programs_tables(head: Path) -> None:
    """Lists of any kind, texts as categories, whole numbers and halves of doubles, any order."""
    given_users = do.read_instance(head).users.replace(
        cpu_hz=np.full(8, 1e9), tx_power_w=np.full(8, 0.125), deadline_s=np.full(8, np.inf)
    )
    gains = [u.channel_gain for u in given_users]
    columns = {
        "kappa": pa.array(given_users.kappa),
        "energy_j": pa.array([u.energy_j for u in given_users]),
        "min_accuracy": pa.array([u.min_accuracy for u in given_users]),
        "deadline_s": pa.nulls(8),
        "cpu_hz": pa.array([10**9] * 8, pa.int32()),
        "tx_power_w": pa.array([0.125] * 8, pa.float32()),
        "fresh_fraction": pa.array(given_users.fresh_fraction),
        "name": pa.array(given_users.name).dictionary_encode(),
    }
    for gain in (pa.list_(pa.float64()), pa.large_list(pa.float64()), pa.list_(pa.float64(), 2)):
        for whole in (pa.int16(), pa.uint64()):
            columns["channel_gain"] = pa.array(gains, gain)
            columns["samples"] = pa.array(given_users.samples, whole)
            pq.write_table(pa.table(columns), head.with_suffix(".parquet"), row_group_size=3)
            assert do.read_instance(head).users == given_users


# when and where ----------------------------------------------------------------------------------


def test_auto_writes_large_ones_as_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = tmp_path / "small.json"
    assert do.write_instance(INSTANCE, small) == (small,)
    monkeypatch.setattr(tables, "PARQUET_MIN_USERS", 8)
    solution = do.solve(INSTANCE, "greedy").solution
    assert do.write_instance(INSTANCE, tmp_path / "n.json")[1:] == (tmp_path / "n.parquet",)
    assert do.write_solution(solution, tmp_path / "s.json")[1:] == (tmp_path / "s.parquet",)
    assert do.write_instance(INSTANCE, small, users="json") == (small,)


def test_large_ones_are_told_apart_by_contents(tmp_path: Path) -> None:
    """A solution that was made before its instance was written holds for the file."""
    instance = do.generate_instance(PARQUET_MIN_USERS)
    assert instance.sha256 == instance.hash_contents()
    do.write_instance(instance, tmp_path / "n.json")
    again = do.read_instance(tmp_path / "n.json")
    assert again == instance
    assert again.sha256 == instance.sha256


def test_unknown_form() -> None:
    with pytest.raises(do.UsageError, match='users cannot be stored as "csv"; choose auto, json'):
        do.write_instance(INSTANCE, "n.json", users="csv")


def test_the_head_must_not_be_called_as_its_table(tmp_path: Path) -> None:
    for write, what in (
        (do.write_instance, INSTANCE),
        (do.write_solution, do.solve(INSTANCE).solution),
    ):
        text = message(
            lambda path, w=write, x=what: w(x, path, users="parquet"), tmp_path / "n.parquet"
        )
        assert "name it ….json" in text
    assert os.listdir(tmp_path) == []


def test_a_failed_table_leaves_the_old_head(head: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [file.read_bytes() for file in (head, head.with_suffix(".parquet"))]

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    other = do.generate_instance(3)
    text = message(lambda path: do.write_instance(other, path, users="parquet"), head)
    assert text == "n.parquet: cannot be written: No space left on device"
    assert [file.read_bytes() for file in (head, head.with_suffix(".parquet"))] == before


def test_without_pyarrow(head: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error line tells what to install; an answer is written as JSON all the same."""
    solution = do.solve(INSTANCE, "greedy").solution
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(tables, "PARQUET_MIN_USERS", 8)
    line = 'n.parquet: is a Parquet table, which needs pyarrow: pip install "dtkd-opt[parquet]"'
    assert message(do.read_instance, head) == line
    assert message(lambda path: do.write_instance(INSTANCE, path), head) == line
    assert do.write_solution(solution, tmp_path / "s.json") == (tmp_path / "s.json",)
    assert do.read_solution(tmp_path / "s.json") == solution

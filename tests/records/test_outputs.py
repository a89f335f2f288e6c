"""What stands against files that are to be written, found before the work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.records.instance import read_instance, write_instance
from dtkd_opt.records.outputs import (
    check_files,
    check_folder,
    check_output,
    check_writable,
    with_table,
)
from dtkd_opt.records.parquet import Storage
from tests.support.paths import INSTANCES


def test_files_of_their_own_names_are_fine_and_none_is_made(tmp_path: Path) -> None:
    check_output((tmp_path / "t.json", tmp_path / "t.csv"), ".json", [tmp_path / "other.json"])
    check_writable(tmp_path / "t.json")
    assert list(tmp_path.iterdir()) == []


def test_two_files_of_one_name_are_refused_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for other in (tmp_path / "folder" / "t.csv", tmp_path / "link" / "t.csv"):
        with pytest.raises(UsageError, match=r"file beside the table; name it \.json"):
            check_output((tmp_path / "folder" / "t.csv", other), ".json")


def test_what_is_read_is_not_overwritten(tmp_path: Path) -> None:
    data = tmp_path / "data.npz"
    check_output((data,), ".json", [data])  # nothing is there yet
    data.write_bytes(b"")
    with pytest.raises(InputError, match=r"data\.npz: would be overwritten; name another output"):
        check_output((tmp_path / "t.json", data), ".json", [data])


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("old")
    check_writable(tmp_path / "t.json")
    assert (tmp_path / "t.json").read_text() == "old"


@pytest.mark.parametrize(
    ("name", "said"),
    [("missing/t.json", "No such file or directory"), ("folder", "Is a directory")],
)
def test_places_that_take_no_file_are_told(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError) as caught:
        check_writable(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: cannot be written: {said}"


@pytest.mark.parametrize("name", ["in.json", "soft.json", "hard.json", "new/../in.json"])
def test_an_input_is_known_by_all_its_names(name: str, tmp_path: Path) -> None:
    read = tmp_path / "in.json"
    read.write_text("{}")
    (tmp_path / "new").mkdir()
    (tmp_path / "soft.json").symlink_to(read)
    (tmp_path / "hard.json").hardlink_to(read)
    with pytest.raises(InputError, match="would be overwritten"):
        check_files([read], [tmp_path / name])


@pytest.mark.parametrize("users", ["json", "parquet"])
def test_the_table_of_an_input_is_an_input(users: Storage, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    file = tmp_path / "n5.json"
    write_instance(read_instance(INSTANCES / "n5.json"), file, users)
    (tmp_path / "n5.parquet").touch()
    if users == "json":
        check_files([file], with_table(tmp_path / "n5.txt"))
        return
    for written in ("n5.parquet", "n5.txt"):  # the latter's table, of many users
        with pytest.raises(InputError, match=r"n5\.parquet: would be overwritten"):
            check_files([file], with_table(tmp_path / written))


def test_standard_input_is_read_once() -> None:
    check_files([Path("-"), Path("other")])
    with pytest.raises(UsageError, match="standard input can be read once"):
        check_files([Path("-"), Path("/dev/stdin")])


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is named twice"):
        check_files([], [tmp_path / "a", tmp_path / "." / "a"])
    check_files([], [Path("/dev/null"), Path("/dev/null")])


def test_folders_are_checked_and_not_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_folder(tmp_path / "new" / "newer", ["a.csv"])
    with pytest.raises(InputError, match="standard output: is no folder"):
        check_folder(Path("-"), ["a.csv"])
    with pytest.raises(InputError, match="file: is no folder"):
        check_folder(tmp_path / "file", ["a.csv"])
    with pytest.raises(InputError, match=r"file/new: cannot be written: Not a directory"):
        check_folder(tmp_path / "file" / "new", ["a.csv"])
    with pytest.raises(InputError, match="file: would be overwritten"):
        check_folder(tmp_path, ["file"], [tmp_path / "file"])
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folders_and_files_that_may_not_be_written_are_told(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.touch(0o444)
    with pytest.raises(InputError, match="kept: cannot be written: Permission denied"):
        check_writable(kept)
    tmp_path.chmod(0o555)
    with pytest.raises(InputError, match="new: cannot be written: Permission denied"):
        check_writable(tmp_path / "new")

"""What stands against files that are to be written, found before the work."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.records.outputs import check_output, check_writable


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
    with pytest.raises(UsageError, match=r"data\.npz would be overwritten; name another output"):
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

"""Paths that are no plain files: `-`, descriptors, pipes, and what is compressed."""

from __future__ import annotations

import gzip
import io
import os
import sys
from pathlib import Path

import pytest

import dtkd_opt as do
from dtkd_opt.records.files import read_json, read_unpacked, write_atomic
from dtkd_opt.records.streams import DASH, is_stdin, is_stdout, is_stream
from tests.support.paths import INSTANCES

N5 = INSTANCES / "n5.json"


class Standard:
    """A standard stream of bytes, as Python makes it."""

    def __init__(self, data: bytes = b""):
        self.stream = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")

    @property
    def data(self) -> bytes:
        buffer = self.stream.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue()


def test_dash_is_standard_input_and_output(monkeypatch: pytest.MonkeyPatch) -> None:
    given, taken = Standard(N5.read_bytes()), Standard()
    monkeypatch.setattr(sys, "stdin", given.stream)
    monkeypatch.setattr(sys, "stdout", taken.stream)
    instance = do.read_instance("-")
    assert instance == do.read_instance(N5)
    assert instance.sha256 == do.read_instance(N5).sha256
    do.write_instance(instance, "-")
    assert taken.data == instance.to_bytes()


def test_a_stream_that_takes_only_text_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a notebook's standard output."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    write_atomic(DASH, "φ".encode())
    assert out.getvalue() == "φ"


@pytest.mark.parametrize("name", ["stdin", "stdout"])
def test_streams_that_are_closed_are_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, name, None)
    touch = (lambda: read_json(DASH)) if name == "stdin" else (lambda: write_atomic(DASH, b""))
    said = f"standard {name.removeprefix('std')}put: cannot be (read|written): is closed"
    with pytest.raises(do.InputError, match=said):
        touch()


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="this system names no descriptors")
def test_descriptors_are_known_through_links(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/stdout")
    assert is_stdout(link)
    assert is_stdout(Path("/dev/fd/1"))
    assert is_stdin(Path("/dev/stdin"))
    assert not is_stdin(link)
    assert is_stream(Path("/dev/null"))
    assert not is_stdout(Path("/dev/null"))
    assert not is_stream(tmp_path / "1")


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="this system names no descriptors")
def test_what_a_descriptor_appends_to_stays(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"before\n")
    with file.open("ab") as stream:
        write_atomic(Path(f"/dev/fd/{stream.fileno()}"), b"after\n")
    assert file.read_bytes() == b"before\nafter\n"


def test_compressed_files_are_the_same_files(tmp_path: Path) -> None:
    instance = do.read_instance(N5)
    one, two = tmp_path / "one.json.gz", tmp_path / "two.json.gz"
    do.write_instance(instance, one)
    do.write_instance(instance, two)
    assert one.read_bytes() == two.read_bytes()  # no time, no name in it
    assert gzip.decompress(one.read_bytes()) == instance.to_bytes()
    again = do.read_instance(one)
    assert (again, again.sha256) == (instance, instance.sha256)
    result = do.solve(again, "greedy")
    do.write_solution(result, tmp_path / "s.json.gz")
    assert do.read_solution(tmp_path / "s.json.gz") == result.solution


@pytest.mark.parametrize("end", [-1, -9, 30])
def test_damaged_compression_is_told(end: int, tmp_path: Path) -> None:
    file = tmp_path / "a.json.gz"
    file.write_bytes(gzip.compress(N5.read_bytes())[:end])
    with pytest.raises(do.InputError, match=r"a\.json\.gz: is cut short or damaged"):
        read_unpacked(file)


def test_a_table_lies_beside_a_compressed_file_by_its_plain_name(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    instance = do.read_instance(N5)
    written = do.write_instance(instance, tmp_path / "a.json.gz", users="parquet")
    assert [path.name for path in written] == ["a.json.gz", "a.parquet"]
    assert do.read_instance(tmp_path / "a.json.gz") == instance


def test_beside_a_stream_lies_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    instance = do.read_instance(N5)
    with pytest.raises(do.UsageError, match="no table can lie beside standard output"):
        do.write_instance(instance, "-", users="parquet")
    head, _ = do.write_instance(instance, tmp_path / "a.json", users="parquet")
    monkeypatch.setattr(sys, "stdin", Standard(head.read_bytes()).stream)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(do.InputError, match="standard input: users: must be a list"):
        do.read_instance("-")


def test_many_users_go_inside_what_a_stream_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dtkd_opt.records.parquet.PARQUET_MIN_USERS", 1)
    taken = Standard()
    monkeypatch.setattr(sys, "stdout", taken.stream)
    assert do.write_instance(do.read_instance(N5), "-") == (DASH,)
    assert b'"name": "u0"' in taken.data


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to("folder/file.json")  # which is not there yet
    for data in (b"one", b"two"):
        write_atomic(link, data)
        assert link.is_symlink()
        assert (tmp_path / "folder" / "file.json").read_bytes() == data
    assert sorted(os.listdir(tmp_path)) == ["folder", "link.json"]
    assert os.listdir(tmp_path / "folder") == ["file.json"]


def test_links_in_a_circle_are_told(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.symlink_to(two)
    two.symlink_to(one)
    with pytest.raises(do.InputError, match="cannot be written: Too many levels"):
        write_atomic(one, b"")
    assert one.is_symlink()

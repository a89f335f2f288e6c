"""Paths that cannot be read or written: the old file stays whole, and one line says why."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dtkd_opt.errors import InputError
from dtkd_opt.records.files import parse_json, write_atomic, write_files
from dtkd_opt.records.instance import Instance, read_instance, write_instance
from dtkd_opt.records.validation import validate
from tests.support.instances import small_instance, user


@pytest.fixture
def instance() -> Instance:
    return small_instance(user("u0"))


def only_line(error: pytest.ExceptionInfo[InputError], path: Path | str) -> str:
    """The message's one line, without the file's name."""
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


def test_written_over_the_old_file(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text("old")
    write_instance(instance, path)
    assert read_instance(path) == instance
    assert os.listdir(tmp_path) == ["one.json"]


@pytest.mark.parametrize("step", ["replace", "fsync", "chmod"])
@pytest.mark.parametrize(
    ("stop", "raised"),
    [
        (OSError(28, "No space left on device"), InputError),
        (OSError("odd"), InputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["full disk", "odd error", "Ctrl-C"],
)
def test_failed_write_leaves_the_old_file(
    instance: Instance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    stop: BaseException,
    raised: type[BaseException],
) -> None:
    def fail(*_: Any) -> None:
        raise stop

    path = tmp_path / "one.json"
    path.write_text("old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(raised) as caught:
        write_instance(instance, path)
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["one.json"]
    if raised is InputError:
        reason = getattr(stop, "strerror", None) or str(stop)
        assert only_line(caught, path) == f"cannot be written: {reason}"


def test_files_that_belong_together_replace_all_old_ones_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the disk is full after the first."""
    one, two = tmp_path / "one", tmp_path / "two"
    for path in (one, two):
        path.write_text("old")
    real, calls = os.fsync, []

    def fail_second(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fail_second)
    with pytest.raises(InputError, match="two: cannot be written: No space left"):
        write_files({one: b"new", two: b"new"})
    assert (one.read_text(), two.read_text()) == ("old", "old")
    monkeypatch.undo()
    write_files({one: b"new", two: b"new"})
    assert (one.read_text(), two.read_text()) == ("new", "new")
    assert sorted(os.listdir(tmp_path)) == ["one", "two"]


def test_who_may_read_a_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "private"
    path.write_text("old")
    path.chmod(0o600)
    write_atomic(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_longest_name_is_written(tmp_path: Path) -> None:
    write_atomic(tmp_path / ("n" * 255), b"new")
    assert os.listdir(tmp_path) == ["n" * 255]


def test_write_into_a_missing_folder(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "one.json"
    with pytest.raises(InputError) as caught:
        write_instance(instance, path)
    assert only_line(caught, path) == "cannot be written: No such file or directory"


def test_write_onto_a_folder(instance: Instance, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        write_instance(instance, tmp_path)
    assert only_line(caught, tmp_path) == "cannot be written: Is a directory"
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """As /dev/stdout and /dev/null, which root could replace by a plain file."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomic(path, b"data")
        assert os.read(reader, 10) == b"data"
    finally:
        os.close(reader)
    assert path.is_fifo()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("missing.json", "no such file"),
        ("folder", "is a folder; name a file"),
        ("file/below", "cannot be read: Not a directory"),
        ("n" * 300, "cannot be read: File name too long"),
    ],
)
def test_unreadable_paths(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        read_instance(tmp_path / name)
    assert only_line(caught, tmp_path / name) == line


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("", "path: must not be empty; name a file or folder"),
        ("new/", "new/: is a folder; name a file"),
    ],
)
def test_names_of_no_file(instance: Instance, name: str, line: str) -> None:
    for touch in (read_instance, lambda path: write_instance(instance, path)):
        with pytest.raises(InputError) as caught:
            touch(name)
        assert str(caught.value) == line


def test_what_ends_in_gz_is_compressed_in_any_case(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "ONE.JSON.GZ"
    write_instance(instance, path, users="parquet")
    assert path.read_bytes().startswith(b"\x1f\x8b")
    assert read_instance(path) == instance
    assert sorted(os.listdir(tmp_path)) == ["ONE.JSON.GZ", "ONE.parquet"]


def test_null_byte_in_a_path(instance: Instance) -> None:
    for touch in (read_instance, lambda path: write_instance(instance, path)):
        with pytest.raises(InputError) as caught:
            touch("a\0b")
        assert only_line(caught, "a\\x00b") == "is no file name; must not hold a null byte"


def test_message_is_printable_whatever_the_names() -> None:
    text = '{"format": "dtkd-opt/instance/1", "a\\nb\\u001b\\ud800\\u2028": 1}'
    with pytest.raises(InputError) as caught:
        validate(Instance, parse_json(text.encode(), "odd\nname\udcff"), "odd\nname\udcff")
    message = str(caught.value)
    assert all(line.startswith("odd\\nname\\udcff: ") for line in message.split("\n"))
    assert message.replace("\n", "").isprintable()

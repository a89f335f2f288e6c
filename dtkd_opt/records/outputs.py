"""Files that are to be read and written: what stands against them is found before the work."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.records.files import without_ending, writing
from dtkd_opt.records.parquet import named_tables
from dtkd_opt.records.streams import DASH, is_stdin, is_stdout, is_stream, source_name

_Identity: TypeAlias = str | tuple[int, int]


def check_files(reads: Iterable[Path], writes: Sequence[Path] = ()) -> None:
    """Raise what a command would meet later: in its inputs, and in the files that it writes.

    Raises
    ------
    InputError
        Where a file cannot be written, or is one of those that are read.
    UsageError
        Where standard input would be read twice, or one file written twice.
    """
    reads = list(reads)
    if sum(map(is_stdin, reads)) > 1:
        raise UsageError("standard input can be read once; give the other file by its name")
    for path in writes:
        check_writable(path)
    check_output(writes, "", reads)


def with_table(path: Path, kind: str = "") -> list[Path]:
    """A file, and the Parquet file in which its users would be if they are many."""
    if is_stream(path) or not path.name:
        return [path]
    table = path.with_name(f"{without_ending(path).name}{kind}.parquet")
    return [path] if table == path else [path, table]


def check_folder(folder: Path, names: Iterable[str], reads: Iterable[Path] = ()) -> None:
    """As :func:`check_files`, of files in a folder, which is made later if it is not there."""
    if folder == DASH:
        raise InputError("standard output", ["is no folder; name one for the results"])
    if folder.exists():
        if not folder.is_dir():
            raise InputError(str(folder), ["is no folder; name one for the results"])
        check_files(reads, [folder / name for name in names])
        return
    check_files(reads)
    above = next(one for one in folder.absolute().parents if os.path.lexists(one))
    with writing(folder), tempfile.TemporaryFile(dir=above):
        pass


def check_output(files: Sequence[Path], ending: str, reads: Iterable[Path] = ()) -> None:
    """Errors where files would overwrite each other (UsageError), or what is read (InputError).

    Parameters
    ----------
    files
        All that will be written, first the one that the user named.
    ending
        With which that one is none of the others, such as `.csv`; empty where all were named.
    reads
        What the work reads, and with it the tables that it names; these need not be there.
    """
    written: list[_Identity | None] = []
    for path in files:
        with writing(path):
            identity = _identity(path, is_stdout(path), 1)
        if identity is not None and identity in written:
            fault = f"is also the name of a file beside the table; name it {ending}"
            raise UsageError(f"{files[0]} {fault}" if ending else f"{path} is named twice")
        written.append(identity)
    for path in reads:
        for read in (path, *named_tables(path)):
            there = is_stdin(read) or read.exists()
            if there and _identity(read, is_stdin(read), 0) in {*written} - {None}:
                raise InputError(source_name(read), ["would be overwritten; name another output"])


def check_writable(path: Path) -> None:
    """InputError where a file cannot be written: its folder is missing or takes none."""
    with writing(path):
        if is_stream(path):
            if not is_stdout(path):
                _require_access(path)
            return
        target = Path(os.path.realpath(path))
        if target.is_dir():
            target.write_bytes(b"")  # the system says why not
        if os.path.lexists(target):  # else a link to itself would pass
            target.stat()
            _require_access(target)
        with tempfile.TemporaryFile(dir=target.parent):
            pass


def _require_access(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _identity(path: Path, is_open: bool, number: int) -> _Identity | None:
    """What two names of one file have alike, through links too; None for a terminal or the like.

    Where `is_open`, the file is the one behind the descriptor `number`.
    """
    try:
        found = os.fstat(number) if is_open else os.stat(path)
    except OSError:  # it is not there
        return os.path.realpath(path)
    return None if stat.S_ISCHR(found.st_mode) else (found.st_dev, found.st_ino)

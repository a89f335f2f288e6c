"""Reading and writing: files whole, from pipes too, compressed or not; atomic writes."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import os
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dtkd_opt.errors import InputError
from dtkd_opt.records.arguments import NULL_BYTE
from dtkd_opt.records.json_text import parse_json as parse_json
from dtkd_opt.records.leftovers import undone_at_once
from dtkd_opt.records.streams import (
    is_stdin,
    is_stdout,
    is_stream,
    read_stdin,
    source_name,
    target_name,
    write_stream,
)

GZIP = b"\x1f\x8b"  # what its files begin with, and no JSON
_LEVEL = 6  # of compression: three times as quick as the highest, and 1 % larger


def read_bytes(path: Path) -> bytes:
    """The file's bytes; raises InputError in plain words when it cannot be read."""
    try:
        return read_stdin() if is_stdin(path) else path.read_bytes()
    except FileNotFoundError:
        raise InputError(source_name(path), ["no such file"]) from None
    except IsADirectoryError:
        raise InputError(source_name(path), ["is a folder; name a file"]) from None
    except OSError as error:
        fault = f"cannot be read: {error.strerror or error}"
        raise InputError(source_name(path), [fault]) from None
    except ValueError:
        raise InputError(source_name(path), [NULL_BYTE]) from None


def read_unpacked(path: Path) -> bytes:
    """The bytes of a text file, which may be compressed by gzip, whatever its name says."""
    data = read_bytes(path)
    if not data.startswith(GZIP):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        fault = f"is cut short or damaged: gzip cannot unpack it ({error})"
        raise InputError(source_name(path), [fault]) from None


def read_json(path: Path) -> Any:
    """What a JSON file says, which may be compressed; errors of reading and :func:`parse_json`."""
    return parse_json(read_unpacked(path), source_name(path))


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    return hashlib.sha256(data).hexdigest()


def to_csv(frame: Any) -> bytes:
    """A data frame of pandas as CSV with the same bytes everywhere."""
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text.encode()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """InputError in plain words where the file cannot be written."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError) and is_stdout(path):
            raise  # the reader has seen enough: no fault
        fault = f"cannot be written: {error.strerror or error}"
        raise InputError(target_name(path), [fault]) from None
    except ValueError:
        raise InputError(target_name(path), [NULL_BYTE]) from None


def write_atomic(path: Path, data: bytes) -> None:
    """Write so that a reader sees the old file or the new one, never a part of it.

    InputError where the folder is missing or not writable, or the disk is full. A link is followed,
    a pipe, a terminal or `-` written to, and what ends in `.gz` compressed.
    """
    write_files({path: data})


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together as :func:`write_atomic` does one, in the order given.

    No old file is replaced before all new ones are on the disk: where that is full, all stay.
    """
    with contextlib.ExitStack() as stack:
        ready = {}
        for path, data in contents.items():
            packed = gzip.compress(data, _LEVEL, mtime=0) if is_packed(path) else data
            ready[path] = stack.enter_context(_prepared(path, packed))
        for path, put in ready.items():
            with writing(path):
                put()


@contextlib.contextmanager
def _prepared(path: Path, data: bytes) -> Iterator[Callable[[], object]]:
    """What puts the data where it belongs: to a plain file by renaming one that holds it all."""
    if is_stream(path):
        yield partial(write_stream, path, data)
        return
    with writing(path):
        target = os.path.realpath(path)  # a link stays one
        mode = _mode(target)
        folder, name = os.path.split(target)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name[:50]}.")
    remove = partial(_remove, temporary)
    with contextlib.ExitStack() as stack:
        stack.enter_context(undone_at_once(remove))
        stack.callback(remove)  # also on Ctrl-C
        with writing(path), os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            os.chmod(temporary, mode)
        yield partial(os.replace, temporary, target)


def _remove(temporary: str) -> None:
    with contextlib.suppress(OSError):  # it has been renamed
        os.unlink(temporary)


def _mode(target: str) -> int:
    """The permissions of a file that is to be written: those it has, else the process's default."""
    try:
        old = os.stat(target).st_mode
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
    if stat.S_ISDIR(old):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return stat.S_IMODE(old)


def without_ending(path: Path) -> Path:
    """A path without `.json`, `.json.gz` or the like: what files beside it are named by."""
    return path.with_suffix("").with_suffix("") if is_packed(path) else path.with_suffix("")


def is_packed(path: Path) -> bool:
    """Whether a file is compressed where it is written, by its name."""
    return path.suffix.lower() == ".gz"

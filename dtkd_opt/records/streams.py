"""Paths that stand for no plain file: `-`, descriptors such as /dev/stdout, pipes, devices."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

DASH = Path("-")  # standard input where it is read, standard output where it is written
_MAX_LINKS = 40  # as many as Linux follows


def is_stdin(path: Path) -> bool:
    """Whether reading this path takes from standard input."""
    return path == DASH or _descriptor(path) == 0


def is_stdout(path: Path) -> bool:
    """Whether what is written to this path must go to standard output.

    Also where that is redirected into this very file, which must not be replaced beneath it.
    """
    if path == DASH or _descriptor(path) == 1:
        return True
    try:
        ours, theirs = os.fstat(1), os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(theirs.st_mode) and os.path.samestat(ours, theirs)


def is_stream(path: Path) -> bool:
    """Whether a path is written to as it is: it cannot be replaced, nor can files lie beside it."""
    if is_stdout(path) or _descriptor(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def source_name(path: Path) -> str:
    """What messages call a file that is read."""
    return "standard input" if path == DASH else str(path)


def target_name(path: Path) -> str:
    """What messages call a file that is written."""
    return "standard output" if path == DASH else str(path)


def read_stdin() -> bytes:
    """All of standard input."""
    if sys.stdin is None:
        raise _closed()
    buffer = getattr(sys.stdin, "buffer", None)
    data: bytes = sys.stdin.read().encode() if buffer is None else buffer.read()
    return data


def write_stream(path: Path, data: bytes) -> None:
    """Write to a path that is a stream; raises OSError where it takes no more."""
    number = _descriptor(path)
    if is_stdout(path):
        _write_stdout(data)
    elif number is not None:  # not opened anew: that would begin at the file's start
        with os.fdopen(os.dup(number), "wb") as stream:
            stream.write(data)
    else:
        path.write_bytes(data)


def _write_stdout(data: bytes) -> None:
    if sys.stdout is None:
        raise _closed()
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # a notebook's, say, which takes text only
        sys.stdout.write(data.decode())
    else:
        buffer.write(data)
    sys.stdout.flush()


def _closed() -> OSError:
    return OSError(errno.EBADF, "is closed")


def _descriptor(path: Path) -> int | None:
    """The number of this process's open file that a path names, through links, or None."""
    for _ in range(_MAX_LINKS):
        try:
            folder = os.path.realpath(path.parent)
            if path.name.isdecimal() and folder == os.path.realpath("/dev/fd"):
                return int(path.name)
            path = Path(folder, os.readlink(path))
        except (OSError, ValueError):
            return None
    return None

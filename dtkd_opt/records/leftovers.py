"""What a process must not leave behind, also where it ends at once and nothing is unwound."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from dtkd_opt.errors import InputError

_TRIES, _PAUSE_S = 20, 0.05
_undo: list[Callable[[], object]] = []  # of the blocks that are open, the innermost last


@contextmanager
def undone_at_once(undo: Callable[[], object]) -> Iterator[None]:
    """Within this block :func:`undo_all` calls `undo`; the block's own end does not.

    It may be called amid anything that the main thread does: it must wait for no lock.
    """
    _undo.append(undo)
    try:
        yield
    finally:
        _undo.remove(undo)


def undo_all() -> None:
    """Undo what the open blocks would leave behind, the innermost first, before `os._exit`."""
    for undo in reversed(_undo):
        with suppress(Exception):  # one that fails must not keep the others from it
            undo()


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder of the block's own where the system has such; InputError where it takes none."""
    try:
        made = TemporaryDirectory(prefix="dtkd-", ignore_cleanup_errors=True)
    except OSError as error:
        fault = f"cannot be made: {error.strerror or error}; TMPDIR names another place"
        raise InputError("a temporary folder", [fault]) from None
    with made as name, undone_at_once(partial(_remove, name)):
        yield Path(name)


def _remove(folder: str) -> None:
    """Remove a folder into which processes that have just been killed may still write."""
    for _ in range(_TRIES):
        rmtree(folder, ignore_errors=True)
        if not os.path.exists(folder):
            return
        time.sleep(_PAUSE_S)

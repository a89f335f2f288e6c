"""Files that are to be written: what stands against them is found before the work, not after it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from dtkd_opt.errors import UsageError
from dtkd_opt.records.files import writing


def check_output(files: Sequence[Path], ending: str, reads: Iterable[Path] = ()) -> None:
    """UsageError where files would overwrite each other, or what is read.

    Parameters
    ----------
    files
        All that will be written, first the one that the user named.
    ending
        With which that one is none of the others, such as `.csv`.
    reads
        What the work reads; these need not be there.
    """
    with writing(files[0]):
        real = [os.path.realpath(path) for path in files]
    if len(set(real)) < len(real):
        fault = f"is also the name of a file beside the table; name it {ending}"
        raise UsageError(f"{files[0]} {fault}")
    for path in reads:
        if os.path.realpath(path) in real and path.exists():
            raise UsageError(f"{path} would be overwritten; name another output")


def check_writable(path: Path) -> None:
    """InputError where a file cannot be written: its folder is missing or takes none."""
    with writing(path):
        if path.is_dir():
            path.write_bytes(b"")  # the system says why not
        with tempfile.TemporaryFile(dir=path.parent):
            pass

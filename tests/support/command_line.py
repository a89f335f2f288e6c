"""The command line as the tests call it."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from dtkd_opt.commands.main import main


def run(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `dtkd-opt` in this process, which spares a start, and catch what it prints."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["dtkd-opt", *map(str, words)])
        patch.chdir(cwd or Path.cwd())
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def run_process(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `dtkd-opt` as a user does, as a process, and catch what it prints."""
    command = [
        sys.executable,
        "-m",
        "dtkd_opt",
        *map(str, words),
    ]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def written(folder: Path, text: str) -> Path:
    """A file of settings, for `--params`."""
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return file


def fails(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    """The process ended with this code, said these words on standard error, and no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    for part in parts:
        assert part in done.stderr

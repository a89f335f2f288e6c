"""`calibrate` where something is amiss: names of files, lost students, options that do nothing."""

from __future__ import annotations

import subprocess
import sys


def test_click_before_8_4_has_no_generic_types() -> None:
    code = (
        "import click; click.ParamType.__class_getitem__ = None\n"
        "from dtkd_opt.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "calibrate", "--help"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--sizes A,B,…" in done.stdout

"""What all experiments share: where the instances are, provenance, CSV files, best values.

Scripts of this folder use it by `from common import …`: run as `python experiments/NAME.py`, Python
finds their own folder first.
"""

from __future__ import annotations

import csv
import datetime
import io
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dtkd_opt.records.files import write_atomic

ROOT = Path(__file__).resolve().parent.parent
INSTANCES = ROOT / "instances"
BEST = INSTANCES / "best.csv"


def provenance(packages: Sequence[str], note: str = "") -> list[str]:
    """Command, date, commit, versions and machine, a line each, for the head of a result file.

    Call it before anything is written, or the results themselves count as uncommitted changes.

    Parameters
    ----------
    packages
        Distributions whose installed versions matter to the results.
    note
        How the machine was used, such as ``each run on one thread``.
    """
    script = Path(sys.argv[0]).name
    now = datetime.datetime.now(datetime.UTC)
    commit = _commit()
    versions = [f"{name} {_version(name)}" for name in packages]
    return [
        f"command: python experiments/{script} {shlex.join(sys.argv[1:])}".rstrip(),
        f"date: {now:%Y-%m-%d %H:%M} UTC",
        *([f"commit: {commit}"] if commit else []),
        f"versions: {', '.join([*versions, f'Python {platform.python_version()}'])}",
        f"machine: {_cpu()}, {os.cpu_count()} cores" + (f", {note}" if note else ""),
    ]


def write_csv(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    header: Iterable[str] = (),
) -> None:
    """Write a CSV file atomically: `header` as comment lines, then the rows.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    text = io.StringIO()
    text.writelines(f"# {line}\n" for line in header)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, text.getvalue().encode())


def best_values() -> dict[str, dict[str, float]]:
    """`best_value` and `bound` (s) of each shipped instance, from instances/best.csv."""
    with BEST.open(encoding="utf-8", newline="") as stream:
        rows = {row["instance"]: row for row in csv.DictReader(stream)}
    return {n: {key: float(r[key]) for key in ("best_value", "bound")} for n, r in rows.items()}


def _commit() -> str | None:
    """Short hash of the repository's commit, and whether the tree differs; None if not known."""
    commit, changes = _git("rev-parse", "--short", "HEAD"), _git("status", "--porcelain")
    if not commit or changes is None:
        return None
    return f"{commit} + uncommitted changes" if changes else commit


def _git(*command: str) -> str | None:
    """What git says of this repository; None without git or outside of a clone."""
    # a copy that lies in some other project's clone must not get that project's commit
    outside = {"GIT_CEILING_DIRECTORIES": str(ROOT.parent)}
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *command], cwd=ROOT, env=os.environ | outside,
            capture_output=True, text=True, errors="replace",
        )  # fmt: skip
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    names = re.findall(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return names[0] if names else platform.processor() or platform.machine()

"""What the tests of `compare` share: its command in a process, what that writes, and Dask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.paths import INSTANCES, ROOT

PROGRAM = [sys.executable, "-m", "dtkd_opt", "compare"]
N5, N10 = INSTANCES / "n5.json", INSTANCES / "n10.json"
WRITTEN = ["accuracy_delay.svg", "gap_over_time.svg", "runs.csv", "runs.jsonl", "summary.csv"]

# settings of methods, two tables of one method among them
FILE = """
[q-learning]
rounds = 20

["q-learning cold"]
method = "q-learning"
cold = true
rounds = 30

[exact]
max_rounds = 0
"""


def words(*instances: Path, methods: str, output: Path, seeds: int = 2) -> list[str]:
    chosen = [word for name in methods.split() for word in ("--method", name)]
    return [*map(str, instances), *chosen, "--seeds", str(seeds), "--output", str(output)]


def run(given: list[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *given], env=env, capture_output=True, text=True, timeout=120)


def lines(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "runs.jsonl").read_text().splitlines()]


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 240
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def dask(name: str, folder: Path, *options: str) -> Iterator[str]:
    """A scheduler or worker in a process that ends with the block; the scheduler's address."""
    file = folder / "scheduler.json"
    options = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file), *options)
    command = [sys.executable, "-m", f"distributed.cli.dask_{name}", *options]
    with (folder / "log").open("a") as log:
        env = os.environ | {"PYTHONPATH": str(ROOT)}  # of the jobs that tests define
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    try:
        wait_for(lambda: file.exists() and file.stat().st_size > 0)
        yield json.loads(file.read_text())["address"]
    finally:
        process.terminate()
        process.wait(timeout=30)

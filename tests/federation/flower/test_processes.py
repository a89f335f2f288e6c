"""Processes end with their children, whatever ends the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dtkd_opt.federation.flower.processes import Processes, free_ports, is_open
from tests.support.comparing import wait_for
from tests.support.paths import ROOT

SCRIPT = "sleep 100 & echo $! >> {pids}; echo $$ >> {pids}; echo hello; wait"
PARENT = """
import sys
from pathlib import Path
from dtkd_opt.federation.flower.processes import Processes
with Processes(Path(sys.argv[1])) as processes:
    processes.start("one", "sh", "-c", sys.argv[2])
    sys.stdin.read()
"""


def kill_one_then_press_ctrl_c(folder: Path, pids: Path) -> None:
    with Processes(folder) as processes:
        for name in ("one", "two"):
            processes.start(name, "sh", "-c", SCRIPT.format(pids=pids))
        wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 4)
        assert processes.last_line("one") == "hello"
        assert not processes.ended("one")
        os.kill(int(pids.read_text().split()[1]), signal.SIGKILL)
        wait_for(lambda: processes.ended("one") or processes.ended("two"))
        raise KeyboardInterrupt


def test_processes_end_with_their_children_whatever_happens(tmp_path: Path) -> None:
    """Also the children of one that was killed."""
    pids = tmp_path / "pids"
    with pytest.raises(KeyboardInterrupt):
        kill_one_then_press_ctrl_c(tmp_path, pids)
    wait_for(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


def test_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    command = [sys.executable, "-c", PARENT, str(tmp_path), SCRIPT.format(pids=pids)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as parent:
        wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        parent.kill()
    wait_for(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ports_are_free_and_differ() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert min(ports) > 1023
    assert not any(is_open(port) for port in ports)

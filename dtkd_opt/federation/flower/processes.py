"""Processes of Flower: each in a session of its own, and all ended with the block."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from dtkd_opt.federation.flower.project import flower_home
from dtkd_opt.records.leftovers import undone_at_once

# no telemetry, no question for updates, nothing that listens on other than the loopback
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # by the loopback's address, as on these systems
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}
# The command's session is killed when its input closes: when its parent ends, whatever ends that.
_GUARDED = 'exec 3<&0; { cat <&3; kill -KILL 0; } & exec "$@" 3<&- </dev/null'


class Processes:
    """What was started, by name; what they print is kept below `folder`.

    A process that starts others keeps them in its session: ending that ends them too, and so do a
    Ctrl-C, which reaches the parent only, an error, and the parent's own end.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._undone = ExitStack()
        tools = str(Path(sys.executable).parent)  # of Flower's commands
        self._env = {
            **os.environ,
            **QUIET,
            "PATH": os.pathsep.join([tools, os.environ.get("PATH", "")]),
            "HOME": str(self._home()),
            "FLWR_HOME": str(flower_home(folder)),
            "RAY_TMPDIR": str(folder),
            "OMP_NUM_THREADS": "1",
        }

    def _home(self) -> Path:
        """With this file there, Ray asks no cloud's metadata service where it runs."""
        path = self.folder / "home"
        path.mkdir()
        (path / "ray_bootstrap_config.yaml").write_text("{}")
        return path

    def start(self, name: str, *command: str) -> None:
        """Start a command, found on the path."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                ["/bin/sh", "-c", _GUARDED, "sh", *command],
                env=self._env,
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ended(self, name: str) -> bool:
        """Whether a process is no more; what it has left behind is ended."""
        process = self._running[name]
        if process.poll() is None:
            return False
        _kill(process)
        return True

    def last_line(self, name: str) -> str:
        """The last line that a process printed."""
        text = (self.folder / f"{name}.log").read_text(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else "it printed nothing"

    def __enter__(self) -> Processes:
        self._undone.enter_context(undone_at_once(self._kill_all))
        return self

    def __exit__(self, *error: object) -> None:
        self._kill_all()
        for process in self._running.values():
            process.communicate()  # closes its input, too
        self._undone.close()

    def _kill_all(self) -> None:
        for process in self._running.values():
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process's whole session at once: a polite end takes seconds, and leaves some behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens at."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def is_open(port: int) -> bool:
    """Whether somebody listens at a port of the loopback."""
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0

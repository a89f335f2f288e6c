"""The engine of Flower: every user is a client of its own, and only parcels cross.

Clients are SuperNodes, real processes of this machine around a SuperLink, or those of Flower's
simulation engine (Ray). Both run the same app through the same SuperLink.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dtkd_opt.errors import DtkdError, InputError
from dtkd_opt.federate.flower.control import Control, is_up
from dtkd_opt.federate.flower.files import home, write_files
from dtkd_opt.federate.flower.processes import Processes, free_ports
from dtkd_opt.federate.flower.status_files import fault, outcomes, say_dead, started
from dtkd_opt.federate.spec import TaskResult
from dtkd_opt.runtime.workers import Rows, RunJobs

_PAUSE_S = 0.2
_LINK_S, _SERVER_S = 120.0, 300.0  # for the SuperLink to answer, and the server app to start


@contextmanager
def flower(jobs: int, simulation: bool) -> Iterator[RunJobs[TaskResult]]:
    """Yields who does the tasks, each as a client of its own.

    Parameters
    ----------
    jobs
        Clients at work at once.
    simulation
        Whether clients are those of Flower's simulation engine, or SuperNodes.
    """
    yield partial(_run, jobs, simulation)


def _run(jobs: int, simulation: bool, tasks: Sequence[tuple[Any, Any]]) -> Rows[TaskResult]:
    """The outcomes as they come; where a run breaks down, the other users have failed."""
    left = {spec: None for _, spec in tasks}  # in their order
    try:
        with closing(_rows(jobs, simulation, tasks)) as rows:
            for row in rows:
                del left[row.spec]
                yield row
    except DtkdError as error:
        for spec in left:
            yield TaskResult(spec=spec, outcome="failed").failed(str(error))


def _rows(jobs: int, simulation: bool, tasks: Sequence[tuple[Any, Any]]) -> Rows[TaskResult]:
    """As many outcomes as tasks; DtkdError where the run ends before."""
    with (
        TemporaryDirectory(prefix="dtkd-", ignore_cleanup_errors=True) as name,
        Processes(Path(name)) as processes,
    ):
        try:
            write_files(processes.folder, tasks)
        except OSError as error:
            words = f"cannot be written: {error.strerror or error}; TMPDIR names another place"
            raise InputError(name, [words]) from None
        with closing(_start(processes, jobs, simulation, len(tasks))) as run:
            clients = [] if simulation else [_client(n) for n in range(len(tasks))]
            yield from islice(_follow(processes, run, clients), len(tasks))


def _client(task: int) -> str:
    return f"supernode-{task}"


def _start(processes: Processes, jobs: int, simulation: bool, tasks: int) -> Control:
    """Start all processes and the run."""
    port, *others = free_ports(1 + tasks)
    link = f"127.0.0.1:{port}"
    kind = ["--simulation"] if simulation else []
    processes.node(
        "superlink", "superlink", "--insecure", "--host", "127.0.0.1", "--port", str(port),
        "--isolation", "process", "--disable-runtime-dependency-installation", *kind,
    )  # fmt: skip
    end = time.monotonic() + _LINK_S
    while not is_up(link):
        if processes.ended("superlink") or time.monotonic() > end:
            raise DtkdError(f"Flower's SuperLink: {processes.last_words('superlink')}")
        time.sleep(_PAUSE_S)
    processes.executor(link)
    for n in [] if simulation else range(tasks):
        own = home(processes.folder, n)
        held = f'partition-id={n} num-partitions={tasks} home="{own}"'
        processes.node(
            _client(n), "supernode", "--insecure", "--superlink", link, "--host", "127.0.0.1",
            "--port", str(others[n]), "--node-config", held, "--max-retries", "5",
        )  # fmt: skip
    # a letter takes seconds to be fetched: meanwhile another client is at work
    config: dict[str, str | int] = {
        "folder": str(processes.folder),
        "tasks": tasks,
        "most": 2 * jobs,
    }
    return Control(link, config, tasks if simulation else 0, jobs)


def _follow(processes: Processes, run: Control, clients: Sequence[str]) -> Iterator[TaskResult]:
    """What the server tells, until its run ends; it is told of clients that ended."""
    folder, known, gone = processes.folder, 0, set[int]()
    end = time.monotonic() + _SERVER_S
    while True:
        over = run.end()  # looked at first: what was told before counts
        for row in outcomes(folder, known):
            known += 1
            yield row
        if over is not None:
            raise DtkdError(f"Flower's run ended: {fault(folder) or over}")
        for name in ("superlink", "superexec"):
            if processes.ended(name):
                raise DtkdError(f"Flower's {name} ended: {processes.last_words(name)}")
        if not started(folder) and time.monotonic() > end:
            raise DtkdError(f"Flower's server did not start: {processes.last_words('superexec')}")
        for n, name in enumerate(clients):
            if n not in gone and processes.ended(name):
                gone.add(n)
                say_dead(folder, n)
        time.sleep(_PAUSE_S)

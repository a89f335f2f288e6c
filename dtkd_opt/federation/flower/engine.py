"""Starts the processes of Flower, one run of the app, and yields what its server finds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

from dtkd_opt.errors import DtkdError, InputError
from dtkd_opt.federation.flower import status_files
from dtkd_opt.federation.flower.files import home, write_files
from dtkd_opt.federation.flower.processes import Processes, free_ports, is_open
from dtkd_opt.federation.flower.project import write_project
from dtkd_opt.federation.user_training import UserTrainingResult
from dtkd_opt.records.leftovers import temporary_folder
from dtkd_opt.runtime.jobs import Rows

_Jobs = Sequence[tuple[Any, Any]]
_POLL_S = 0.2
_SUPERLINK_TIMEOUT_S = 120.0  # until it listens
_SERVER_TIMEOUT_S = 300.0  # until the server app has started


def flower(jobs: int, simulation: bool, tasks: _Jobs) -> Rows[UserTrainingResult]:
    """The outcomes as they come; where a run breaks down, the other users have failed.

    Parameters
    ----------
    jobs
        Clients at work at once.
    simulation
        Whether clients are those of Flower's simulation engine, or SuperNodes.
    tasks
        Each is done as a client of its own.
    """
    left = {spec: None for _, spec in tasks}  # in their order
    try:
        with closing(_rows(jobs, simulation, tasks)) as rows:
            for row in rows:
                del left[row.spec]
                yield row
    except DtkdError as error:
        for spec in left:
            yield UserTrainingResult(spec=spec, outcome="failed").failed(str(error))


def _rows(jobs: int, simulation: bool, tasks: _Jobs) -> Rows[UserTrainingResult]:
    """As many outcomes as tasks; DtkdError where the run ends before."""
    with (
        temporary_folder() as folder,
        Processes(folder) as processes,
    ):
        port, *client_ports = free_ports(1 + len(tasks))
        try:
            write_files(processes.folder, tasks)
            # a client takes seconds to fetch its message: meanwhile another is at work
            write_project(processes.folder, port, len(tasks), max_in_flight=2 * jobs)
        except OSError as error:
            words = f"cannot be written: {error.strerror or error}; TMPDIR names another place"
            raise InputError(str(folder), [words]) from None
        _start_superlink(processes, port, simulation)
        clients = [] if simulation else _start_clients(processes, port, client_ports)
        _start_run(processes, len(tasks) if simulation else 0, jobs)
        yield from islice(_outcomes(processes, clients), len(tasks))


def _start_superlink(processes: Processes, port: int, simulation: bool) -> None:
    """The SuperLink and, once it listens, the SuperExec that starts its server app."""
    kind = ["--simulation"] if simulation else []
    processes.start(
        "superlink", "flower-superlink", "--insecure", "--isolation", "process",
        "--host", "127.0.0.1", "--port", str(port), *kind,
    )  # fmt: skip
    end = time.monotonic() + _SUPERLINK_TIMEOUT_S
    while not is_open(port):
        if processes.ended("superlink") or time.monotonic() > end:
            raise DtkdError(f"Flower's SuperLink: {processes.last_line('superlink')}")
        time.sleep(_POLL_S)
    address = f"127.0.0.1:{port}"
    processes.start("superexec", "flower-superexec", "--insecure", "--runtime-api-address", address)


def _start_clients(processes: Processes, superlink: int, ports: Sequence[int]) -> list[str]:
    """A SuperNode for each task; returns their names."""
    names = [f"supernode-{n}" for n in range(len(ports))]
    for n, (name, port) in enumerate(zip(names, ports, strict=True)):
        own = home(processes.folder, n)
        processes.start(
            name, "flower-supernode", "--insecure", "--superlink", f"127.0.0.1:{superlink}",
            "--host", "127.0.0.1", "--port", str(port), "--max-retries", "5",
            "--node-config", f'partition-id={n} num-partitions={len(ports)} home="{own}"',
        )  # fmt: skip
    return names


def _start_run(processes: Processes, simulated: int, cpus: int) -> None:
    """`flwr run`, which ends with the run; with so many simulated clients on so many cores."""
    words = (
        f"num-supernodes={simulated} client-resources-num-cpus=1 client-resources-num-gpus=0.0 "
        f"init-args-num-cpus={cpus} init-args-log-to-driver=false"
    )
    federation = ["--federation-config", words] if simulated else []
    processes.start("run", "flwr", "run", "app", "--stream", *federation)


def _outcomes(processes: Processes, clients: Sequence[str]) -> Iterator[UserTrainingResult]:
    """The server's outcomes until its run ends; the server learns which clients have ended."""
    folder, count, ended = processes.folder, 0, set[int]()
    end = time.monotonic() + _SERVER_TIMEOUT_S
    while True:
        over = _why_over(processes)  # before the outcomes are read, so that none is missed
        for row in status_files.read_outcomes(folder, count):
            count += 1
            yield row
        if over is not None:
            raise DtkdError(over)
        if not status_files.started(folder).exists() and time.monotonic() > end:
            raise DtkdError(f"Flower's server did not start: {processes.last_line('superexec')}")
        for n, name in enumerate(clients):
            if n not in ended and processes.ended(name):
                ended.add(n)
                status_files.client_ended(folder, n).touch()
        time.sleep(_POLL_S)


def _why_over(processes: Processes) -> str | None:
    """Why nothing more is to come; None while the run goes on."""
    for name in ("superlink", "superexec"):
        if processes.ended(name):
            return f"Flower's {name} ended: {processes.last_line(name)}"
    if processes.ended("run"):
        error = status_files.server_error(processes.folder)
        printed = f"it printed: {processes.last_line('run')}"
        return f"Flower's run ended: {error.read_text() if error.exists() else printed}"
    return None

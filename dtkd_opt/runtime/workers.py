"""What runs jobs: processes of this machine through joblib, or the workers of a Dask cluster.

Either yields the rows as jobs end. Numerics get one thread a job, so that times can be compared.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from functools import partial
from importlib import import_module
from multiprocessing.resource_tracker import ensure_running
from typing import Any

from dtkd_opt.errors import InputError
from dtkd_opt.records.leftovers import undone_at_once
from dtkd_opt.runtime.cluster import run_on_dask
from dtkd_opt.runtime.interrupts import SIGNALS
from dtkd_opt.runtime.jobs import Execute, Job, Rows, RowT, RunJobs

_ADDRESS = re.compile(r"((tcp|tls|ws|wss)://)?[^\s/]+:\d{1,5}")
# loky starts another where a worker's memory has grown; raised as an error, it would wait forever
_REPLACED = "A worker stopped while some jobs were given"
_KILLED = "its process was killed, as for want of memory"
_TIMEOUT_S = 10.0  # for a scheduler to answer and for its first worker


@contextmanager
def workers(
    n_processes: int, dask: str | None, execute: Execute[RowT], row_type: type[RowT]
) -> Iterator[RunJobs[RowT]]:
    """What runs jobs: processes here, or the cluster of the scheduler at the address `dask`.

    Called with jobs it yields their rows, of `row_type`, as `execute` has made them; closing that
    iterator ends or takes back the others. A job whose process is killed, as for want of memory,
    has failed; on Dask it is submitted again, and has failed where workers are lost over and over.
    InputError where no scheduler answers, or its workers cannot do this.
    """
    if dask is None:
        yield partial(_run_here, execute, row_type, n_processes)
        return
    client = _connect(dask)
    try:
        yield partial(run_on_dask, client, execute, row_type)
    finally:
        client.close()


def _run_here(
    execute: Execute[RowT], row_type: type[RowT], n_processes: int, jobs: Sequence[Job]
) -> Rows[RowT]:
    """The rows as jobs end; if a process is killed, only its job fails.

    loky then ends all processes and does not say which of them had which job. So the jobs that may
    have been running run once more, one at a time, where it is known.
    """
    pending: dict[Any, Job] = {job[1]: job for job in jobs}
    while pending:
        now = list(pending.values())
        try:
            now = now if n_processes > 1 else now[:1]
            with closing(_processes(execute, n_processes, now)) as rows:
                for row in rows:
                    del pending[row.spec]
                    yield row
            continue
        except BrokenProcessPool:
            suspects = list(pending.values())[:n_processes]
        for _, spec in suspects:
            del pending[spec]
        if n_processes > 1:
            yield from _run_here(execute, row_type, 1, suspects)
        else:
            yield row_type(spec=suspects[0][1], outcome="failed", reason=_KILLED)


def _processes(execute: Execute[RowT], n_processes: int, jobs: Sequence[Job]) -> Rows[RowT]:
    from joblib import Parallel, delayed

    warnings.filterwarnings("ignore", _REPLACED, UserWarning)  # in any thread of loky
    parallel = Parallel(
        max(n_processes, 2),  # joblib would run 1 in this process, with all its threads
        backend="loky",
        return_as="generator_unordered",
        pre_dispatch=n_processes,
        batch_size=1,
        max_nbytes=None,
        inner_max_num_threads=1,
        initializer=_start_worker,
        initargs=(os.getpid(),),
    )
    rows: Rows[RowT] | None = None
    with undone_at_once(_kill_workers):
        try:
            with _signals_delayed(), _quiet_trackers():
                rows = parallel(delayed(execute)(*job) for job in jobs)
            for row in rows:  # noqa: UP028 - `yield from` closes them without the filter below
                yield row
        finally:
            if rows is not None:
                with warnings.catch_warnings(), _quiet_manager():
                    warnings.simplefilter("ignore")  # joblib warns of jobs that Ctrl-C gave up
                    rows.close()


@contextmanager
def _quiet_manager() -> Iterator[None]:
    """loky's thread that hands out jobs may meet a queue that is being closed: that is no news."""
    hook = threading.excepthook

    def without_manager(args: threading.ExceptHookArgs) -> None:
        if args.thread is None or args.thread.name != "ExecutorManagerThread":
            hook(args)

    threading.excepthook = without_manager
    try:
        yield
    finally:
        threading.excepthook = hook


def _kill_workers() -> None:
    for process in multiprocessing.active_children():
        process.kill()


@contextmanager
def _signals_delayed() -> Iterator[None]:
    """Ctrl-C and its like wait for the end of this block, and cannot reach processes started in it.

    A terminal sends them to all of its processes, and so may what sends SIGTERM.
    """
    pressed: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            handlers[number] = signal.signal(number, lambda number, _: pressed.append(number))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # processes inherit it
    ensure_running()  # Python's tracker of resources: unblocks some when it starts
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in pressed:
            signal.raise_signal(number)


@contextmanager
def _quiet_trackers() -> Iterator[None]:
    """Trackers that start here, which remove what killed workers leave, do not warn of each."""
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [before, "ignore:resource_tracker"]))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def _start_worker(parent: int) -> None:
    """Signals are for the parent, which kills its workers; a killed parent wants no more runs."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=_exit_with, args=(parent,), daemon=True).start()


def _exit_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _connect(address: str) -> Any:
    """A client of the cluster; InputError where runs there would fail or be no fair measure."""
    distributed: Any = import_module("distributed")
    source = f"--dask {address}"
    if not _ADDRESS.fullmatch(address):  # a client of such a one would not even end
        raise InputError(source, ["is no address; must be such as tcp://127.0.0.1:8786"])
    try:
        client = distributed.Client(address, timeout=_TIMEOUT_S, set_as_default=False)
    except (OSError, OverflowError) as error:
        fault = f"no scheduler answers: {' '.join(str(error).split())}; start one: dask scheduler"
        raise InputError(source, [fault]) from None
    if fault := _cluster_fault(client):
        client.close()
        raise InputError(source, [fault])
    return client


def _cluster_fault(client: Any) -> str:
    """What is wrong with the cluster's workers; empty when nothing is."""
    try:
        client.wait_for_workers(1, timeout=_TIMEOUT_S)
    except TimeoutError:
        return "has no workers; start some: dask worker"
    threads = max(w["nthreads"] for w in client.scheduler_info(-1)["workers"].values())
    fault = f"a worker has {threads} threads; runs share none: give --nthreads 1"
    return fault if threads > 1 else ""

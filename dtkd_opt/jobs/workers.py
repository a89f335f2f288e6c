"""Who does the jobs: processes of this machine through joblib, or the workers of a Dask cluster.

Either yields the rows as jobs end. Numerics get one thread a job, so that times can be compared.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any, TypeAlias

from dtkd_opt.errors import DtkdError, InputError
from dtkd_opt.fields import Record
from dtkd_opt.jobs import RowT

Task = tuple[Any, Record]  # a payload, which many tasks may share, and what is asked
Rows: TypeAlias = Generator[RowT, None, None]
Work: TypeAlias = Callable[[Sequence[Task]], Rows[RowT]]
Execute: TypeAlias = Callable[[Any, Any], RowT]  # does one task, and raises nothing
_ADDRESS = re.compile(r"((tcp|tls|ws|wss)://)?[^\s/]+:\d{1,5}")
_PATIENCE_S = 10.0  # for a scheduler to answer and for its first worker


@contextmanager
def workers(
    jobs: int, dask: str | None, execute: Execute[RowT], kind: type[RowT]
) -> Iterator[Work[RowT]]:
    """What does the tasks: `jobs` processes here, or the cluster of the scheduler at `dask`.

    Called with tasks it yields their rows, of `kind`, as `execute` has made them; closing that
    iterator ends or takes back what is left. DtkdError when a process here is killed, as for want
    of memory.

    Raises
    ------
    InputError
        When no scheduler answers there, or its workers cannot do this.
    """
    if dask is None:
        yield partial(_run_here, jobs, execute)
        return
    client = _connect(dask)
    try:
        yield partial(_run_on_dask, client, execute, kind)
    finally:
        client.close()


def _run_here(jobs: int, execute: Execute[RowT], tasks: Sequence[Task]) -> Rows[RowT]:
    from joblib import Parallel, delayed

    parallel = Parallel(
        max(jobs, 2),  # joblib would run 1 in this process, with all its threads
        backend="loky",
        return_as="generator_unordered",
        pre_dispatch=jobs,
        batch_size=1,
        max_nbytes=None,
        inner_max_num_threads=1,
        initializer=_start_worker,
        initargs=(os.getpid(),),
    )
    with _deaf_to_ctrl_c():
        runs = parallel(delayed(execute)(*task) for task in tasks)
    try:
        for run in runs:  # noqa: UP028 - `yield from` closes them without the filter below
            yield run
    except BrokenProcessPool:
        raise DtkdError(
            "a process was killed, as for want of memory; finished runs are kept: "
            "run again, with fewer --jobs"
        ) from None
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib tells which runs Ctrl-C gave up
            runs.close()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Ctrl-C is ignored in this block, and for good by the processes that are started in it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _start_worker(parent: int) -> None:
    """Ctrl-C is for the parent, which kills its workers; a killed parent wants no more runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of one that was started later
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _run_on_dask(
    client: Any, execute: Execute[RowT], kind: type[RowT], tasks: Sequence[Task]
) -> Rows[RowT]:
    distributed: Any = import_module("distributed")
    futures: dict[Any, Record] = {}
    try:
        payloads = {id(payload): payload for payload, _ in tasks}
        sent = {key: client.scatter(payload) for key, payload in payloads.items()}
        for payload, asked in tasks:
            futures[client.submit(execute, sent[id(payload)], asked, pure=False)] = asked
        for future in distributed.as_completed(futures, loop=client.loop):
            yield _result(future, kind, futures[future])
    finally:
        client.cancel(list(futures))


def _result(future: Any, kind: type[RowT], asked: Record) -> RowT:
    try:
        row: RowT = future.result()
    except Exception as error:  # a lost worker, or one without this package: a row of its own
        lost = kind(asked=asked, outcome="failed")
        return lost.failed(f"Dask: {type(error).__name__}: {error}")
    return row


def _connect(address: str) -> Any:
    """A client of the cluster; InputError where runs there would fail or not mean anything."""
    distributed: Any = import_module("distributed")
    source = f"--dask {address}"
    if not _ADDRESS.fullmatch(address):  # a client of such a one would not even end
        raise InputError(source, ["is no address; must be such as tcp://127.0.0.1:8786"])
    try:
        client = distributed.Client(address, timeout=_PATIENCE_S, set_as_default=False)
    except (OSError, OverflowError) as error:
        fault = f"no scheduler answers: {' '.join(str(error).split())}; start one: dask scheduler"
        raise InputError(source, [fault]) from None
    if fault := _unfit(client):
        client.close()
        raise InputError(source, [fault])
    return client


def _unfit(client: Any) -> str:
    """What is wrong with the cluster's workers; empty when nothing is."""
    try:
        client.wait_for_workers(1, timeout=_PATIENCE_S)
    except TimeoutError:
        return "has no workers; start some: dask worker"
    most = max(w["nthreads"] for w in client.scheduler_info(-1)["workers"].values())
    return f"a worker has {most} threads; runs share none: give --nthreads 1" if most > 1 else ""

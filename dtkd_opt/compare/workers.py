"""Who does the runs: processes of this machine through joblib, or the workers of a Dask cluster.

Either yields the runs as they end. Numerics get one thread a run, so that times can be compared.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Generator, Sequence
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from typing import Any

from dtkd_opt.compare.run import Asked, Run, execute
from dtkd_opt.errors import DtkdError, InputError
from dtkd_opt.instance import Instance

Task = tuple[Instance, Asked]
_PATIENCE_S = 10.0  # for a scheduler to answer and for its first worker


def run_here(tasks: Sequence[Task], jobs: int) -> Generator[Run, None, None]:
    """The tasks in `jobs` processes at once; closing the iterator kills what is still running.

    Raises
    ------
    DtkdError
        When a process is killed, as for want of memory.
    """
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


def _start_worker(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which kills us
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """After a `kill -9` of the parent nobody wants this process's run, nor its load."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def run_on_dask(tasks: Sequence[Task], address: str) -> Generator[Run, None, None]:
    """The tasks on a Dask cluster; closing the iterator takes back what has not begun.

    Raises
    ------
    InputError
        When no scheduler answers there, or its workers cannot do this.
    """
    distributed: Any = import_module("distributed")
    client = _connect(address)
    futures: dict[Any, Asked] = {}
    try:
        sent = {asked.instance_sha256: instance for instance, asked in tasks}
        sent = {digest: client.scatter(instance) for digest, instance in sent.items()}
        for _, asked in tasks:
            futures[client.submit(execute, sent[asked.instance_sha256], asked, pure=False)] = asked
        for future in distributed.as_completed(futures):
            yield _result(future, futures[future])
    finally:
        client.cancel(list(futures))
        client.close()


def _result(future: Any, asked: Asked) -> Run:
    try:
        run: Run = future.result()
    except Exception as error:  # a lost worker, or one without this package: a row of its own
        lost = Run(asked=asked, outcome="failed")
        return lost.failed(f"Dask: {type(error).__name__}: {error}")
    return run


def _connect(address: str) -> Any:
    """A client of the cluster; InputError where runs there would fail or not mean anything."""
    distributed: Any = import_module("distributed")
    source = f"--dask {address}"
    try:
        client = distributed.Client(address, timeout=_PATIENCE_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        fault = f"no scheduler answers: {' '.join(str(error).split())}; start one: dask scheduler"
        raise InputError(source, [fault]) from None
    try:
        client.wait_for_workers(1, timeout=_PATIENCE_S)
        threads = [w["nthreads"] for w in client.scheduler_info(-1)["workers"].values()]
    except TimeoutError:
        client.close()
        raise InputError(source, ["has no workers; start some: dask worker"]) from None
    if max(threads) > 1:
        client.close()
        fault = f"a worker has {max(threads)} threads, and runs would share it; give --nthreads 1"
        raise InputError(source, [fault])
    return client

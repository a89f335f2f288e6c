"""Jobs on the workers of a Dask cluster, some of which may be lost meanwhile."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any, cast

from dtkd_opt.records.fields import Record
from dtkd_opt.runtime.jobs import Execute, Job, Rows, RowT

_TIMEOUT_S = 10.0  # for a row to come, and for a worker after the last one
_POLL_S, _LOOK_S = 0.05, 1.0  # between looks at what has ended, and at the workers
_NO_WORKER = "its workers are lost, and no other came"
_log = logging.getLogger(__name__)  # warnings are printed


def run_on_dask(
    client: Any, execute: Execute[RowT], row_type: type[RowT], jobs: Sequence[Job]
) -> Rows[RowT]:
    """The rows as jobs end; those of a lost worker are submitted again, while there is another.

    Dask gives a job up whose workers were lost several times, and does not know which of their
    jobs it was. So in the end each of these runs once more, alone, where it is known.
    """
    distributed: Any = import_module("distributed")
    futures, suspects, fault = _submit(client, execute, jobs), list[Job](), ""
    completed = distributed.as_completed(futures, loop=client.loop)
    cluster = _Cluster(client)
    try:
        while not completed.is_empty() and not (fault := cluster.fault()):
            for future in completed.next_batch(block=False):
                if len(jobs) > 1 and _was_given_up(future):
                    suspects.append(futures.pop(future))
                    continue
                try:
                    row = _result(future, row_type, futures[future][1])
                except TimeoutError:  # lost with its worker: it is done again
                    completed.add(future)
                    continue
                del futures[future]
                yield row
            time.sleep(_POLL_S)
        for job in (*futures.values(), *suspects):
            if fault:
                yield row_type(spec=job[1], outcome="failed").failed(f"Dask: {fault}")
            else:
                yield from run_on_dask(client, execute, row_type, [job])
    finally:
        client.cancel(list(futures))


def _submit(client: Any, execute: Execute[RowT], jobs: Sequence[Job]) -> dict[Any, Job]:
    """The jobs by what stands for their rows.

    A payload, which many share, is a task's result and no scattered data: when the worker that
    holds it is lost, the scheduler makes it again.
    """
    config: Any = import_module("dask").config
    payloads = {id(payload): payload for payload, _ in jobs}
    with config.set({"distributed.admin.large-graph-warning-threshold": "1 PB"}):  # it has to go
        sent = {key: client.submit(_hold, one, pure=False) for key, one in payloads.items()}
    return {client.submit(execute, sent[id(job[0])], job[1], pure=False): job for job in jobs}


def _hold(payload: Any) -> Any:
    """A worker keeps what this returns."""
    return payload


def _was_given_up(future: Any) -> bool:
    """Whether Dask submits a job no more, as each worker that had it was lost."""
    killed: type[Exception] = import_module("distributed").KilledWorker
    return future.status == "error" and isinstance(future.exception(), killed)


def _result(future: Any, row_type: type[RowT], spec: Record) -> RowT:
    """The row of an ended job; TimeoutError where it was lost with its worker after its end."""
    try:
        return cast("RowT", future.result(timeout=_TIMEOUT_S))
    except Exception as error:  # workers lost again and again, or one without this package
        if isinstance(error, TimeoutError) and future.status == "pending":
            raise
        row = row_type(spec=spec, outcome="failed")
        return row.failed(f"Dask: {type(error).__name__}: {error}")


class _Cluster:
    """The workers that there are: it tells of each that is lost."""

    def __init__(self, client: Any):
        self._client, self._workers = client, set(client.nthreads())
        self._looked = self._seen = time.monotonic()  # when it was asked, when there was one

    def fault(self) -> str:
        """Why nothing more is to come; empty while there are workers, or may be again."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_S:
            try:
                workers = set(self._client.nthreads())
            except OSError as error:
                return f"its scheduler is lost: {error}"
            for address in sorted(self._workers - workers):
                _log.warning("Dask: worker %s is lost; its jobs are submitted again", address)
            self._workers, self._looked = workers, now
        if self._workers:
            self._seen = now
        return _NO_WORKER if now - self._seen > _TIMEOUT_S else ""

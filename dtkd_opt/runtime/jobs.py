"""Independent jobs, each kept on disk as it ends, run by processes here or by a Dask cluster.

A job is a payload and a spec, a record of all that decides its result, which is a :class:`Row`.
`journal.py` keeps rows, `workers.py` runs jobs, `cluster.py` those on Dask.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Generator, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from types import NoneType
from typing import Any, Self, TypeAlias, TypeVar

from pydantic import Field

from dtkd_opt.errors import DtkdError, InputError, printable
from dtkd_opt.records.arguments import as_kind, as_whole
from dtkd_opt.records.fields import Record, Text

Job = tuple[Any, Record]  # a payload, which many jobs may share, and the spec


class Row(Record):
    """The result of a job; `reason` says why an outcome is a failure."""

    spec: Any  # all that decides the result
    outcome: Text  # how the job ended
    reason: Text = ""  # why, if it failed
    worker: Text = ""  # machine and process
    versions: dict[Text, Text] = Field(default_factory=dict)  # of the packages behind it

    def failed(self, reason: str) -> Self:
        """This row as that of a failed job."""
        return self.replace(outcome="failed", reason=one_line(reason))


RowT = TypeVar("RowT", bound=Row)
Rows: TypeAlias = Generator[RowT, None, None]  # as jobs end
RunJobs: TypeAlias = Callable[[Sequence[Job]], Rows[RowT]]
Execute: TypeAlias = Callable[[Any, Any], RowT]  # runs one job, payload and spec; raises nothing


def one_line(text: str) -> str:
    """A text of whatever lines as one that a table and a terminal take."""
    return printable(" ".join(text.split()))


def reason_of(error: BaseException) -> str:
    """Why a job failed: in an own error's words, of any other with its kind before them."""
    return str(error) if isinstance(error, DtkdError) else f"{type(error).__name__}: {error}"


def this_worker() -> str:
    """The machine and process that this runs in."""
    return f"{platform.node()}:{os.getpid()}"


@cache
def versions_of(*packages: str) -> dict[str, str]:
    """The versions of Python and of packages."""
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def require(package: str, extra: str, what: str) -> None:
    """InputError where `package` is missing: `what` needs it, and which extra brings it."""
    if find_spec(package) is None:
        raise InputError(what, [f'needs {package}: pip install "dtkd-opt[{extra}]"'])


def as_address(dask: str | None) -> str | None:
    """The address of a Dask scheduler, or None; UsageError where it can be none."""
    return as_kind(str | NoneType, dask, "dask must be the address of a scheduler, or None")


def processes(jobs: int) -> int:
    """How many processes `jobs` means: -1 is one a core; UsageError where it means nothing."""
    words = "jobs must be at least 1, or -1 for one a core"
    jobs = as_whole(jobs, words, lambda n: n == -1 or n >= 1)
    if jobs >= 1:
        return jobs
    from joblib import cpu_count

    return int(cpu_count())

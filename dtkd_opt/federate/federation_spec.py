"""How plans are carried out: the settings that `federate`, `federate_all` and `fedavg` share."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import Any

from pydantic import field_validator

from dtkd_opt.errors import UsageError
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.records.fields import Record, Text
from dtkd_opt.runtime.jobs import processes

IN_PROCESS, FLOWER, SIMULATION = "in-process", "flower", "flower-simulation"
ENGINES = (IN_PROCESS, FLOWER, SIMULATION)
_SEEDS = 2**64  # as many as torch takes


class FederationSpec(Record):
    """Data, seed and engine of a federation. Equal specs give equal accuracies on any engine.

    Raises
    ------
    UsageError
        When a value is none of those that a field allows.
    """

    data: Text = "digits"
    """As of :func:`dtkd_opt.distill.data.load_data`."""
    data_dir: Path | None = None
    """Folder of Fashion-MNIST. None: where Debian's package has it."""
    partition: Text = "iid"
    """How the private samples are drawn: `iid` or `dirichlet(α)`."""
    seed: int = 0
    """Of the private samples and, with each user's number, of the training."""
    calibration: Calibration | None = None
    """The predictions' source: training takes the learning rates and batch sizes that it chose.

    None: :func:`shipped_calibration` where `data` are its and the instance carries its task and
    models (or what :func:`local_only` makes of them), else the defaults of `TrainConfig`."""
    engine: Text = IN_PROCESS
    """`in-process`; `flower`, where each user is a process of Flower's (a SuperNode); or
    `flower-simulation`, Flower's simulation engine. The last two need the extra `federated`."""
    jobs: int = -1
    """How many users train at once; -1 is one a core."""
    cache: Path | None = None
    """Folder of trained teachers. None: `dtkd-opt` in the user's cache."""

    @field_validator("partition")
    @classmethod
    def _check_partition(cls, partition: str) -> str:
        from dtkd_opt.distill.partition import concentration

        concentration(partition)
        return partition

    @field_validator("seed", mode="before")
    @classmethod
    def _check_seed(cls, seed: Any) -> int:
        if not (isinstance(seed, Integral) and 0 <= int(seed) < _SEEDS):
            raise UsageError(f"seed must be a whole number from 0 to {_SEEDS - 1}, got {seed!r}")
        return int(seed)

    @field_validator("engine")
    @classmethod
    def _check_engine(cls, engine: str) -> str:
        if engine not in ENGINES:
            raise UsageError(f'engine must be one of {", ".join(ENGINES)}, got "{engine}"')
        return engine

    @field_validator("jobs", mode="before")
    @classmethod
    def _check_jobs(cls, jobs: Any) -> int:
        return -1 if jobs == -1 else processes(jobs)

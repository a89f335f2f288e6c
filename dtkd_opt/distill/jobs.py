"""One training as a job: what is asked, and the row that comes of it."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from dtkd_opt.distill.data import Dataset, load_data
from dtkd_opt.distill.networks import build_network
from dtkd_opt.distill.partition import draw_private, mirrored
from dtkd_opt.distill.training import Diverged, TrainConfig, predict, train
from dtkd_opt.errors import DtkdError
from dtkd_opt.problem.physics import Index
from dtkd_opt.records.calibration import LabelKind
from dtkd_opt.records.fields import Count, Fraction, Name, NonNegative, Record, Text
from dtkd_opt.records.solution import Number, Whole
from dtkd_opt.records.version import __version__
from dtkd_opt.runtime.jobs import Row, reason_of, this_worker

VERSION = f"dtkd-opt {__version__}, torch {torch.__version__}"
_PACKAGES = ("numpy", "torch")


class Job(Record):
    """All that decides what a training finds: two trainings of equal questions are one."""

    data: Name
    data_sha256: Text
    student: Name
    labels: LabelKind
    samples: Count
    seed: Whole  # of the private samples, the first weights and the order of samples
    scored_on: Literal["validation", "test"]
    recipe: TrainConfig
    partition: Text
    fresh_fraction: Fraction  # without soft labels; 0 but on the device
    teacher_sha256: Text | None  # None with hard labels
    device: Text
    version: Text


class Training(Row):
    """What a training found; `outcome` is "done", "diverged" or, by any other fault, "failed"."""

    asked: Job
    outcome: Literal["done", "diverged", "failed"]
    accuracy: Fraction | None = None
    loss: Number | None = None  # of the last batch
    steps: Count | None = None
    seconds: NonNegative | None = None
    cpu_s: NonNegative | None = None


@dataclass(frozen=True, eq=False)
class Material:
    """What all jobs share: where the data is found, and the teacher's logits (n, K), if any."""

    data: str
    data_dir: Path | None
    logits: Tensor | None


def execute(material: Material, job: Job) -> Training:
    """Train and score; whatever goes wrong becomes the row's reason.

    Parameters
    ----------
    material, job
        The data with the teacher's logits, and what to train on them.
    """
    row = Training(asked=job, outcome="done", worker=this_worker(), versions=versions())
    try:
        return _train(row, material, job)
    except Diverged as error:
        return row.failed(str(error)).model_copy(update={"outcome": "diverged"})
    except Exception as error:  # such as a GPU without memory left
        return row.failed(reason_of(error))


def _train(row: Training, material: Material, job: Job) -> Training:
    began, cpu = time.perf_counter(), time.process_time()
    if job.version != VERSION:
        raise DtkdError(f"here is {VERSION}, asked for was {job.version}; install the same")
    data = _data(material.data, material.data_dir)
    if data.sha256 != job.data_sha256:
        raise DtkdError(f"{data.name} here is other data than where the calibration was started")
    rows = draw_private(data.labels.numpy(), data.train, job.samples, job.partition, job.seed)
    network = build_network(job.student, data.shape, data.classes, job.seed)
    soft, mask = _soft(material, job, rows)
    trained = train(
        network, data.images[rows], data.labels[rows], soft, mask,
        recipe=job.recipe, seed=job.seed, device=job.device,
    )  # fmt: skip
    scored = data.test if job.scored_on == "test" else data.validation
    guess = predict(trained.network, data.images[scored], job.device).argmax(dim=1)
    hits = int((guess == data.labels[scored]).sum())
    found = {
        "accuracy": hits / len(scored),
        "loss": trained.loss,
        "steps": trained.steps,
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
    }
    return row.model_copy(update=found)


def _soft(material: Material, job: Job, rows: Index) -> tuple[Tensor | None, Tensor | None]:
    """The teacher's logits of the samples, and which of them the student may learn from."""
    if job.labels == "hard":
        return None, None
    if material.logits is None:
        raise DtkdError("the teacher's logits are missing")
    mask = torch.from_numpy(mirrored(job.samples, job.fresh_fraction))
    return material.logits[rows], mask


@lru_cache(maxsize=1)
def _data(spec: str, data_dir: Path | None) -> Dataset:
    """The data, read once a process."""
    return load_data(spec, data_dir)


@cache
def versions() -> dict[str, str]:
    """Of Python and the packages that decide what a training finds."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}

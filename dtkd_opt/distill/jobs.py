"""One training as a job: its spec, and the row with its result."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from dtkd_opt.distill.data import load_data
from dtkd_opt.distill.networks import build_network
from dtkd_opt.distill.partition import draw_private, mirrored
from dtkd_opt.distill.training import Diverged, TrainConfig, accuracy, train
from dtkd_opt.errors import DtkdError
from dtkd_opt.records.arrays import Index
from dtkd_opt.records.calibration import CurveLabels
from dtkd_opt.records.fields import Count, Fraction, Name, NonNegative, Number, Record, Text, Whole
from dtkd_opt.records.version import __version__
from dtkd_opt.runtime.jobs import Row, reason_of, this_worker, versions_of

VERSION = f"dtkd-opt {__version__}, torch {torch.__version__}"
_load = lru_cache(maxsize=1)(load_data)  # once a process


class TrainingSpec(Record):
    """All that decides the result of a training: two trainings of equal specs are one."""

    data: Name  # name of the data set
    data_sha256: Text  # hash of its samples
    student: Name  # name of the network
    labels: CurveLabels  # what it learns from
    samples: Count  # how many private ones
    seed: Whole  # of the private samples, the first weights and the order of samples
    scored_on: Literal["validation", "test"]  # the split
    config: TrainConfig  # how it is trained
    partition: Text  # how the private samples are drawn
    fresh_fraction: Fraction  # without soft labels; 0 but on the device
    teacher_sha256: Text | None  # None with hard labels
    device: Text  # where torch computes
    version: Text  # of this package and torch


class TrainingRow(Row):
    """The result of a training; `outcome` is "failed" by any fault other than "diverged"."""

    spec: TrainingSpec  # all that decides it
    outcome: Literal["done", "diverged", "failed"]  # how it ended
    accuracy: Fraction | None = None  # on the split
    loss: Number | None = None  # of the last batch
    steps: Count | None = None  # updates of the weights
    seconds: NonNegative | None = None  # of the training
    cpu_s: NonNegative | None = None  # of the same, on all cores


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What all trainings share: where the data are, and the teacher's logits (n, K), if any."""

    data: str
    data_dir: Path | None
    logits: Tensor | None


def execute(training_data: TrainingData, spec: TrainingSpec) -> TrainingRow:
    """Train and score; whatever goes wrong becomes the row's reason."""
    row = TrainingRow(spec=spec, outcome="done", worker=this_worker(), versions=versions())
    try:
        return _train(row, training_data, spec)
    except Diverged as error:
        return row.failed(str(error)).replace(outcome="diverged")
    except Exception as error:  # such as a GPU without memory left
        return row.failed(reason_of(error))


def _train(row: TrainingRow, training_data: TrainingData, spec: TrainingSpec) -> TrainingRow:
    started, cpu = time.perf_counter(), time.process_time()
    if spec.version != VERSION:
        raise DtkdError(f"here is {VERSION}, the calibration's is {spec.version}; install the same")
    data = _load(training_data.data, training_data.data_dir)
    if data.sha256 != spec.data_sha256:
        raise DtkdError(f"{data.name} here is other data than where the calibration was started")
    rows = draw_private(data.labels.numpy(), data.train, spec.samples, spec.partition, spec.seed)
    network = build_network(spec.student, data.shape, data.classes, spec.seed)
    soft, mask = _soft_labels(training_data, spec, rows)
    trained = train(
        network, data.images[rows], data.labels[rows], soft, mask,
        config=spec.config, seed=spec.seed, device=spec.device,
    )  # fmt: skip
    scored = data.test if spec.scored_on == "test" else data.validation
    return row.replace(
        accuracy=accuracy(network, data.images[scored], data.labels[scored], spec.device),
        loss=trained.loss,
        steps=trained.steps,
        seconds=time.perf_counter() - started,
        cpu_s=time.process_time() - cpu,
    )


def _soft_labels(
    training_data: TrainingData, spec: TrainingSpec, rows: Index
) -> tuple[Tensor | None, Tensor | None]:
    """The teacher's logits of the samples, and which of them the student may learn from."""
    if spec.labels == "hard":
        return None, None
    if training_data.logits is None:
        raise DtkdError("the teacher's logits are missing")
    mask = torch.from_numpy(mirrored(spec.samples, spec.fresh_fraction))
    return training_data.logits[rows], mask


def versions() -> dict[str, str]:
    """Of Python and the packages that decide the result of a training."""
    return versions_of("numpy", "torch")

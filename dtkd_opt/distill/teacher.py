"""The teacher: trained once on the mirrored samples, and kept with its logits in one file."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.networks import TEACHER, build_network
from dtkd_opt.distill.training import TrainConfig, predict, train
from dtkd_opt.errors import InputError
from dtkd_opt.records.arrays import Index
from dtkd_opt.records.fields import Record, Text
from dtkd_opt.records.files import read_bytes, sha256, write_atomic

# Count up whenever a change makes other teachers of the same settings: files of before are stale.
VERSION = 1
_LOGITS = "logits"
_MIN_VISITS = 25_000  # of samples, over all epochs

_log = logging.getLogger(__name__)


def teacher_config(samples: int) -> TrainConfig:
    """How a teacher is trained: four epochs, which give 92.6 % on Fashion-MNIST, or more.

    A small data set needs more for as many steps: the digits 22 epochs, which give 99.1 %.
    """
    epochs = max(4, -(-_MIN_VISITS // samples))
    return TrainConfig(epochs=epochs, batch_size=128, learning_rate=2e-3)


class TeacherKey(Record):
    """All that decides a teacher; its file is named by it."""

    data_sha256: Text
    rows_sha256: Text  # of the samples it is trained on
    config: TrainConfig
    seed: int
    device: Text
    torch: Text  # other versions, like other devices, may round otherwise
    version: int = VERSION

    def file_name(self) -> str:
        """The name of this teacher's file in a cache folder."""
        return f"teacher-{sha256(self.model_dump_json().encode())[:16]}.safetensors"


@dataclass(frozen=True)
class Teacher:
    """A trained teacher: `logits` (n, K) of all samples of the data set.

    `sha256` is over weights and logits: equal teachers have equal ones.
    """

    key: TeacherKey
    network: nn.Module
    logits: Tensor
    sha256: str

    def accuracy(self, data: Dataset, rows: Index) -> float:
        """Fraction of the samples at `rows` that the teacher labels right."""
        hits = self.logits[rows].argmax(dim=1) == data.labels[rows]
        return hits.float().mean().item()


def load_teacher(
    data: Dataset,
    cache: Path,
    *,
    config: TrainConfig | None = None,
    seed: int = 0,
    rows: Index | None = None,
    device: str = "cpu",
    callback: Callable[[float], None] | None = None,
) -> Teacher:
    """The teacher from its file in `cache`, or trained now and written there.

    A damaged file is logged as a warning, and the teacher trained anew.

    Parameters
    ----------
    data
        The data set.
    cache
        Folder of teachers' files; it is made where it is missing.
    config, seed
        How to train; by default as :func:`teacher_config`.
    rows
        Positions of the samples to train on, as the twins mirror them; by default the training
        split.
    device
        `cpu` or `cuda`.
    callback
        Called after each epoch with the fraction of the training that is done.

    Raises
    ------
    InputError
        When the file cannot be written.
    Diverged
        When the learning rate is too high.
    """
    rows = data.train if rows is None else rows
    config = teacher_config(len(rows)) if config is None else config
    rows_sha256 = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()
    key = TeacherKey(
        data_sha256=data.sha256,
        rows_sha256=rows_sha256,
        config=config,
        seed=seed,
        device=device,
        torch=str(torch.__version__),
    )
    path = cache / key.file_name()
    network = build_network(TEACHER, data.shape, data.classes, seed)
    if path.exists():
        try:
            return _read(path, key, network, len(data.labels))
        except InputError as error:
            _log.warning("%s; training the teacher anew", error)
    create_folder(cache)  # before the long training
    samples = (data.images[rows], data.labels[rows])
    train(network, *samples, config=config, seed=seed, device=device, callback=callback)
    logits = predict(network, data.images, device)
    weights = {f"network.{k}": v.contiguous() for k, v in network.cpu().state_dict().items()}
    tensors = weights | {_LOGITS: logits}
    teacher = Teacher(key, network, logits, _digest(tensors))
    header = {"key": key.model_dump(mode="json"), "sha256": teacher.sha256}
    write_atomic(path, safetensors.torch.save(tensors, {"teacher": json.dumps(header)}))
    return teacher


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].numpy().data)
    return digest.hexdigest()


def create_folder(folder: Path) -> None:
    """Make a folder where it is missing; InputError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fault = f"cannot be made: {error.strerror or error}"
        raise InputError(str(folder), [fault]) from None


def _read(path: Path, key: TeacherKey, network: nn.Module, samples: int) -> Teacher:
    """The teacher of a file; InputError where the file is not whole or holds another teacher."""
    data = read_bytes(path)
    try:
        tensors = safetensors.torch.load(data)
        size = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["teacher"])
        if header["key"] != key.model_dump(mode="json"):
            raise InputError(str(path), ["holds another teacher"])
        if header["sha256"] != _digest(tensors):
            raise InputError(str(path), ["is damaged: its contents have changed"])
        logits = tensors.pop(_LOGITS)
        own = {k.removeprefix("network."): v for k, v in tensors.items()}
        network.load_state_dict(own)
    except (safetensors.SafetensorError, ValueError, LookupError, TypeError, RuntimeError) as error:
        raise InputError(str(path), [f"is damaged: {str(error).splitlines()[0]}"]) from None
    if len(logits) != samples:
        raise InputError(str(path), [f"must hold logits of {samples} samples"])
    return Teacher(key, network.eval(), logits, header["sha256"])

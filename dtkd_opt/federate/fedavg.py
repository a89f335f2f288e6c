"""Federated averaging of one common student, in this process: the baseline without a teacher.

Algorithm 1 of McMahan, Moore, Ramage, Hampson, Agüera y Arcas, "Communication-efficient learning of
deep networks from decentralized data", 2017, with every user in every round. Of a training only
weights cross, as parcels.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from dtkd_opt.distill.data import load_data
from dtkd_opt.distill.jobs import VERSION, versions
from dtkd_opt.distill.training import TrainConfig, train
from dtkd_opt.errors import DtkdError
from dtkd_opt.federate.fedavg_plan import FedAvgPlan
from dtkd_opt.federate.hyperparameters import recipe_for
from dtkd_opt.federate.party_data import Common, Samples, common_of, samples_at
from dtkd_opt.federate.protocol import first_student, receive, score
from dtkd_opt.federate.serialization import Payload, pack_weights, parcel_bits, unpack_weights
from dtkd_opt.federate.shards import Shard, check_seed, deal, training_seed
from dtkd_opt.federate.table import table_for
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.records.fields import Count, Fraction, Name, NonNegative, Record, Text
from dtkd_opt.records.instance import Instance
from dtkd_opt.records.solution import Whole
from dtkd_opt.runtime.jobs import Row, reason_of, this_worker

Follow = Callable[[float], None]  # told the part that is done


class Averaging(Record):
    """All that decides what a federated averaging finds."""

    student: Name
    epochs: Annotated[tuple[Count, ...], Field(min_length=1)]  # of each round
    recipe: TrainConfig  # with the epochs of all rounds
    seed: Whole
    data: Name
    data_sha256: Text
    users: Count
    shards_sha256: Text
    version: Text


class FedAvgResult(Row):
    """What came of it; `accuracies` are the common student's after each round, on held-out samples.

    `up_bits` and `down_bits` are of all users and rounds.
    """

    spec: Averaging
    outcome: Literal["done", "failed"]
    accuracies: tuple[Fraction, ...] = ()
    up_bits: Whole | None = None
    down_bits: Whole | None = None
    seconds: NonNegative | None = None
    cpu_s: NonNegative | None = None

    @property
    def accuracy(self) -> float:
        """The last average's; NaN of a run that failed."""
        return self.accuracies[-1] if self.accuracies else float("nan")


@dataclass(frozen=True, eq=False)
class Material:
    """Where the samples of a run are found."""

    data: str
    data_dir: Path | None
    instance: Instance
    partition: str
    seed: int


Task = tuple[Material, Averaging]


def fedavg(
    plan: FedAvgPlan,
    data: str = "digits",
    *,
    data_dir: str | Path | None = None,
    partition: str = "iid",
    seed: int = 0,
    table: Calibration | None = None,
    follow: Follow | None = None,
) -> FedAvgResult:
    """Train the plan's common student by federated averaging, on the shards of `federate`.

    Each round's training begins with Adam anew and lets the learning rate fall to nothing. Running
    statistics of normalisation are averaged like weights.

    Parameters
    ----------
    plan
        From :func:`dtkd_opt.federate.fedavg_plan.plan_fedavg`.
    data, data_dir, partition, seed
        As of :func:`dtkd_opt.federate.federate`: the same users have the same samples.
    table
        Learning rate and batch size are those that it chose for hard labels at the users' median
        number of samples. None: that of :func:`shipped_calibration` where `data` are its and the
        plan's instance carries its task and models, else a recipe's own.
    follow
        Called with the part of the training that is done.

    Raises
    ------
    UsageError, InputError
        As :func:`dtkd_opt.federate.federate`.
    Diverged
        When the learning rate is too high.
    """
    material, asked = fedavg_task(plan, data, data_dir, partition, seed, table)
    return _run(material, asked, follow or (lambda done: None))


def fedavg_task(
    plan: FedAvgPlan,
    data: str,
    data_dir: str | Path | None,
    partition: str,
    seed: int,
    table: Calibration | None,
) -> Task:
    """The same as a job that :func:`execute` does, for those who have many."""
    check_seed(seed)
    folder = None if data_dir is None else Path(data_dir)
    dataset = load_data(data, folder)
    table = table_for(plan.instance, table, data)
    samples = plan.instance.users.samples
    asked = Averaging(
        student=plan.student,
        epochs=plan.epochs,
        recipe=recipe_for(plan.instance, plan.student, int(np.median(samples)), "hard", table),
        seed=training_seed(seed, len(samples)),  # of no user
        data=dataset.name,
        data_sha256=dataset.sha256,
        users=len(samples),
        shards_sha256=_digest(deal(dataset, plan.instance, partition, seed)),
        version=VERSION,
    )
    return Material(data, folder, plan.instance, partition, seed), asked


def execute(material: Material, asked: Averaging) -> FedAvgResult:
    """Do it; whatever goes wrong becomes the row's reason."""
    row = FedAvgResult(spec=asked, outcome="failed", worker=this_worker(), versions=versions())
    try:
        return _run(material, asked, lambda done: None)
    except Exception as error:  # such as memory that does not suffice
        return row.failed(reason_of(error))


def _run(material: Material, asked: Averaging, follow: Follow) -> FedAvgResult:
    began, cpu = time.perf_counter(), time.process_time()
    data = load_data(material.data, material.data_dir)
    shards = deal(data, material.instance, material.partition, material.seed)
    if (data.sha256, _digest(shards)) != (asked.data_sha256, asked.shards_sha256):
        raise DtkdError(f"{data.name} here is other data than where FedAvg was started")
    common, held = common_of(data), [samples_at(data, shard.rows) for shard in shards]
    found = _rounds(common, held, asked, follow)
    return FedAvgResult(
        spec=asked,
        outcome="done",
        worker=this_worker(),
        versions=versions(),
        **found,
        seconds=time.perf_counter() - began,
        cpu_s=time.process_time() - cpu,
    )


def _rounds(
    common: Common, held: Sequence[Samples], asked: Averaging, follow: Follow
) -> dict[str, Any]:
    up_bits = down_bits = 0
    weights, accuracies = first_weights(common, asked), []
    for number in range(len(asked.epochs)):
        sent = []
        for user, samples in enumerate(held):
            sent.append(train_locally(common, samples, asked, user, number, weights))
            follow((number + (user + 1) / len(held)) / len(asked.epochs))
        weights = average(sent, [len(samples) for samples in held], common, asked)
        accuracies.append(score(common, receive(common, asked, weights)))
        up_bits += sum(map(parcel_bits, sent))
        down_bits += len(held) * parcel_bits(weights)
    return {"accuracies": tuple(accuracies), "up_bits": up_bits, "down_bits": down_bits}


def first_weights(common: Common, asked: Averaging) -> Payload:
    """What all begin with; it does not cross, as the seed is known to all."""
    return pack_weights(first_student(common, asked))


def train_locally(
    common: Common, samples: Samples, asked: Averaging, user: int, number: int, weights: Payload
) -> Payload:
    """One user's training in round `number`, from the weights that it got."""
    seed = int(np.random.SeedSequence([asked.seed, user, number]).generate_state(1)[0])
    network = receive(common, asked, weights)
    train(
        network,
        common.scale.standardise(samples.raw),
        torch.from_numpy(samples.labels),
        config=asked.recipe.model_copy(update={"epochs": asked.epochs[number]}),
        seed=seed,
    )
    return pack_weights(network)


def average(
    sent: Iterable[Payload], samples: Sequence[int], common: Common, asked: Averaging
) -> Payload:
    """Σ_n D_n w_n / Σ_n D_n, in double precision and the users' order."""
    network = first_student(common, asked)
    state = network.state_dict()
    total = {key: np.zeros(tuple(value.shape)) for key, value in state.items()}
    for parcel, size in zip(sent, samples, strict=True):
        unpack_weights(parcel, network)
        for key, value in network.state_dict().items():
            total[key] += value.numpy() * (size / sum(samples))
    for key, value in state.items():
        mean = total[key].round() if not value.is_floating_point() else total[key]  # of counters
        value.copy_(torch.as_tensor(mean))
    return pack_weights(network)


def _digest(shards: Sequence[Shard]) -> str:
    return hashlib.sha256("".join(shard.sha256 for shard in shards).encode()).hexdigest()

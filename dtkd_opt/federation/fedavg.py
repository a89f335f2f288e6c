"""Federated averaging of one common student, in this process: the baseline without a teacher.

Algorithm 1 of McMahan, Moore, Ramage, Hampson, Agüera y Arcas, "Communication-efficient learning of
deep networks from decentralized data", 2017, with every user in every round. Only weights are
sent, as payloads.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from dtkd_opt.distill.data import load_data
from dtkd_opt.distill.jobs import VERSION, versions
from dtkd_opt.distill.training import train
from dtkd_opt.errors import DtkdError, InputError
from dtkd_opt.federation.calibration import calibration_for
from dtkd_opt.federation.fedavg_plan import FedAvgPlan
from dtkd_opt.federation.hyperparameters import train_config
from dtkd_opt.federation.party_data import Common, Samples, common_of, samples_at
from dtkd_opt.federation.protocol import first_student, receive, score
from dtkd_opt.federation.serialization import Payload, pack_weights, payload_bits, unpack_weights
from dtkd_opt.federation.shards import Shard, partition_data, training_seed
from dtkd_opt.federation.spec import FederationSpec
from dtkd_opt.federation.user_training import StudentSpec
from dtkd_opt.records.arguments import as_callback, as_kind, as_record
from dtkd_opt.records.fields import Count, Fraction, NonNegative, Text, Whole
from dtkd_opt.records.instance import Instance
from dtkd_opt.runtime.jobs import Row, reason_of, this_worker

RoundCallback = Callable[[float], None]  # called with the part of the training that is done
Source = tuple[Instance, FederationSpec]  # by which a job finds its users' samples


class FedAvgSpec(StudentSpec):
    """All that decides the result of federated averaging; `config` has the epochs of all rounds."""

    epochs: Annotated[tuple[Count, ...], Field(min_length=1)]  # of each round
    users: Count  # how many
    shards_sha256: Text  # hash of all their samples


class FedAvgResult(Row):
    """The result of a federated averaging."""

    spec: FedAvgSpec  # all that decides it
    outcome: Literal["done", "failed"]  # with or without a trained student
    accuracies: tuple[Fraction, ...] = ()  # of the student after each round, on held-out samples
    up_bits: Whole | None = None  # of all users and rounds [bit]
    down_bits: Whole | None = None  # the same [bit]
    seconds: NonNegative | None = None  # of the training here, not of the plan's timeline
    cpu_s: NonNegative | None = None  # of this process, meanwhile [s]

    @property
    def accuracy(self) -> float:
        """The last average's; NaN of a run that failed."""
        return self.accuracies[-1] if self.accuracies else float("nan")


def fedavg(
    plan: FedAvgPlan, spec: FederationSpec | None = None, *, callback: RoundCallback | None = None
) -> FedAvgResult:
    """Train the plan's common student by federated averaging, on the shards of `federate`.

    Every user takes part, also one whose samples are too few to train a student of its own.

    Each round's training begins with a new Adam and anneals the learning rate to zero. Running
    statistics of normalisation are averaged like weights.

    Parameters
    ----------
    plan
        From :func:`dtkd_opt.plan_fedavg`.
    spec
        As of :func:`dtkd_opt.federate`: the same users have the same samples. Learning
        rate and batch size are those that the calibration chose for hard labels at the users'
        median number of samples. The engine is this process.
    callback
        Called with the part of the training that is done.

    Returns
    -------
    FedAvgResult
        The common student's accuracy after each round, and what was sent.

    Raises
    ------
    InputError
        When the data is missing, a user has a single sample, or the calibration has nothing for
        the student.
    Diverged
        When the learning rate is too high.
    """
    as_kind(FedAvgPlan, plan, "plan must be a FedAvgPlan: plan_fedavg(...)")
    job = fedavg_job(plan, as_record(FederationSpec, spec, "spec"))
    callback = as_callback(callback, "the part that is done")
    return _run(*job, callback or (lambda done: None))


def fedavg_job(plan: FedAvgPlan, spec: FederationSpec) -> tuple[Source, FedAvgSpec]:
    """The same as a job for :func:`execute`, to run many of them."""
    data, samples = load_data(spec.data, spec.data_dir), plan.instance.users.samples
    if single := np.flatnonzero(samples < 2).tolist():  # which normalisation could not take
        faults = [f"users[{n}].samples: must be at least 2, got {samples[n]}" for n in single]
        raise InputError("instance", faults)
    calibration = calibration_for(plan.instance, spec.calibration, spec.data)
    median = int(np.median(samples))
    task = FedAvgSpec(
        student=plan.student,
        epochs=plan.epochs,
        config=train_config(plan.instance, plan.student, median, "hard", calibration),
        seed=training_seed(spec.seed, len(samples)),  # of no user
        data=data.name,
        data_sha256=data.sha256,
        users=len(samples),
        shards_sha256=_digest(partition_data(data, plan.instance, spec.partition, spec.seed)),
        version=VERSION,
    )
    return (plan.instance, spec.replace(calibration=None)), task


def execute(source: Source, task: FedAvgSpec) -> FedAvgResult:
    """Run a job; any error becomes the result's reason."""
    row = FedAvgResult(spec=task, outcome="failed", worker=this_worker(), versions=versions())
    try:
        return _run(source, task, lambda done: None)
    except Exception as error:  # such as memory that does not suffice
        return row.failed(reason_of(error))


def _run(source: Source, task: FedAvgSpec, callback: RoundCallback) -> FedAvgResult:
    started, cpu = time.perf_counter(), time.process_time()
    instance, spec = source
    data = load_data(spec.data, spec.data_dir)
    shards = partition_data(data, instance, spec.partition, spec.seed)
    if (data.sha256, _digest(shards)) != (task.data_sha256, task.shards_sha256):
        raise DtkdError(f"{data.name} here is other data than where FedAvg was started")
    private = [samples_at(data, shard.rows) for shard in shards]
    rounds_result = _rounds(common_of(data), private, task, callback)
    return FedAvgResult(
        spec=task,
        outcome="done",
        worker=this_worker(),
        versions=versions(),
        **rounds_result,
        seconds=time.perf_counter() - started,
        cpu_s=time.process_time() - cpu,
    )


def _rounds(
    common: Common, private: Sequence[Samples], task: FedAvgSpec, callback: RoundCallback
) -> dict[str, Any]:
    up_bits = down_bits = 0
    weights, accuracies = first_weights(common, task), []
    for round_number in range(len(task.epochs)):
        updates = []
        for user, samples in enumerate(private):
            updates.append(train_locally(common, samples, task, user, round_number, weights))
            callback((round_number + (user + 1) / len(private)) / len(task.epochs))
        weights = average(updates, [len(samples) for samples in private], common, task)
        accuracies.append(score(common, receive(common, task, weights)))
        up_bits += sum(map(payload_bits, updates))
        down_bits += len(private) * payload_bits(weights)
    return {"accuracies": tuple(accuracies), "up_bits": up_bits, "down_bits": down_bits}


def first_weights(common: Common, task: FedAvgSpec) -> Payload:
    """The weights of the first round; they are not sent, as all know the seed."""
    return pack_weights(first_student(common, task))


def train_locally(
    common: Common,
    samples: Samples,
    task: FedAvgSpec,
    user: int,
    round_number: int,
    weights: Payload,
) -> Payload:
    """One user's training in round `round_number`, from the weights of the round before."""
    seed = int(np.random.SeedSequence([task.seed, user, round_number]).generate_state(1)[0])
    network = receive(common, task, weights)
    train(
        network,
        common.scale.standardise(samples.raw),
        torch.from_numpy(samples.labels),
        config=task.config.replace(epochs=task.epochs[round_number]),
        seed=seed,
    )
    return pack_weights(network)


def average(
    updates: Iterable[Payload], samples: Sequence[int], common: Common, task: FedAvgSpec
) -> Payload:
    """Σ_n D_n w_n / Σ_n D_n, in double precision and the users' order."""
    network = first_student(common, task)
    state = network.state_dict()
    total = {key: np.zeros(tuple(value.shape)) for key, value in state.items()}
    for payload, size in zip(updates, samples, strict=True):
        unpack_weights(payload, network)
        for key, value in network.state_dict().items():
            total[key] += value.numpy() * (size / sum(samples))
    for key, value in state.items():
        mean = total[key].round() if not value.is_floating_point() else total[key]  # of counters
        value.copy_(torch.as_tensor(mean))
    return pack_weights(network)


def _digest(shards: Sequence[Shard]) -> str:
    return hashlib.sha256("".join(shard.sha256 for shard in shards).encode()).hexdigest()

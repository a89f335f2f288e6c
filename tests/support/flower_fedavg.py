"""Flower's own FedAvg in its simulation, with this project's local training.

`run` is for a process of its own, as Ray and Flower leave threads behind. The folder that FEDAVG
names has the instance and the task; the last average is written there.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from dtkd_opt.distill.data import load_data
from dtkd_opt.distill.networks import build_network
from dtkd_opt.federation.fedavg import FedAvgSpec, first_weights, train_locally
from dtkd_opt.federation.party_data import Common, Samples, common_of, samples_at
from dtkd_opt.federation.protocol import receive
from dtkd_opt.federation.serialization import pack_weights
from dtkd_opt.federation.shards import partition_data
from dtkd_opt.records.instance import read_instance

FOLDER = Path(os.environ["FEDAVG"])
client, server = ClientApp(), ServerApp()


@cache
def setup() -> tuple[Common, list[Samples], FedAvgSpec]:
    data, problem = load_data("digits"), read_instance(FOLDER / "i.json")
    private = [samples_at(data, shard.rows) for shard in partition_data(data, problem, "iid", 0)]
    task = FedAvgSpec.model_validate_json((FOLDER / "task.json").read_text())
    return common_of(data), private, task


def payload_of(arrays: ArrayRecord) -> dict[str, bytes]:
    common, _, task = setup()
    network = build_network(task.student, common.shape, common.classes, 0)
    state = network.state_dict()
    network.load_state_dict({key: torch.as_tensor(arrays[key].numpy()) for key in state})
    return pack_weights(network)


def arrays_of(payload: dict[str, bytes]) -> ArrayRecord:
    common, _, task = setup()
    state = receive(common, task, payload).state_dict()
    return ArrayRecord({key: Array(np.asarray(value.numpy())) for key, value in state.items()})


@client.train()
def train(message: Message, context: Context) -> Message:
    common, private, task = setup()
    user = int(context.node_config["partition-id"])
    number = int(message.content["config"]["server-round"]) - 1
    weights = payload_of(message.content["arrays"])
    sent = train_locally(common, private[user], task, user, number, weights)
    metrics = MetricRecord({"num-examples": len(private[user])})
    return Message(RecordDict({"arrays": arrays_of(sent), "metrics": metrics}), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    common, private, task = setup()
    users = len(private)
    strategy = FedAvg(
        fraction_train=1.0, fraction_evaluate=0.0, min_train_nodes=users, min_available_nodes=users
    )
    begun = arrays_of(first_weights(common, task))
    found: Any = strategy.start(
        grid, begun, num_rounds=len(task.epochs), timeout=120, train_config=ConfigRecord()
    )
    (FOLDER / "weights").write_bytes(payload_of(found.arrays)["weights"])


def run() -> None:
    """All of it."""
    logging.getLogger("flwr").setLevel(logging.CRITICAL)
    with TemporaryDirectory(prefix="dtkd-", ignore_cleanup_errors=True) as folder:
        run_simulation(
            server, client, num_supernodes=len(setup()[1]),
            backend_config={
                "init_args": {"num_cpus": 2, "include_dashboard": False, "log_to_driver": False,
                              "logging_level": "ERROR", "_temp_dir": folder},
                "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            },
        )  # fmt: skip

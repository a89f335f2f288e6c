"""Flower's client: a device, which holds its own samples and receives nothing but payloads."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from dtkd_opt.federation import protocol
from dtkd_opt.federation.flower import messages
from dtkd_opt.federation.flower.files import home, read_common, read_device
from dtkd_opt.federation.party_data import Common, Device
from dtkd_opt.federation.user_training import UserTraining
from dtkd_opt.runtime.jobs import one_line, reason_of

ClientData = tuple[Common, Device, UserTraining]
Handler = Callable[[Message, ClientData], dict[str, Any]]


def _identify(message: Message, data: ClientData) -> dict[str, Any]:
    """Which user this is; where the server trains, with the fresh samples."""
    common, device, spec = data
    if spec.place == "device":
        return {}
    return {messages.PAYLOAD: messages.array_record(protocol.send_fresh(common, device))}


def _train_and_score(message: Message, data: ClientData) -> dict[str, Any]:
    """Train with the soft labels received, or take over the weights received; and score."""
    common, device, spec = data
    payload = messages.payload_of(message)
    started, cpu = time.perf_counter(), time.process_time()
    result: dict[str, float] = {}
    if spec.place == "device":
        trained = protocol.train_on_device(common, device, spec, payload)
        network = trained.network
        result = {"loss": trained.loss, "steps": trained.steps}
    else:
        network = protocol.receive(common, spec, payload)
    result["accuracy"] = protocol.score(common, network)
    spent = {"seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu}
    return {messages.RESULT: ConfigRecord(result | spent)}


def _handler(answer: Handler) -> Callable[[Message, Context], Message]:
    """Flower's handler; the reply carries whatever goes wrong."""

    def handle(message: Message, context: Context) -> Message:
        task = int(context.node_config["partition-id"])
        folder = Path(str(context.run_config["folder"]))
        own = Path(str(context.node_config.get("home", home(folder, task))))
        try:
            content = answer(message, (read_common(folder), *read_device(own)))
        except Exception as error:  # such as memory that does not suffice
            content = {messages.ERROR: ConfigRecord({messages.ERROR: one_line(reason_of(error))})}
        reply = RecordDict({messages.TASK: ConfigRecord({messages.TASK: task}), **content})
        return Message(reply, reply_to=message)

    return handle


client = ClientApp()
client.query()(_handler(_identify))
client.train()(_handler(_train_and_score))

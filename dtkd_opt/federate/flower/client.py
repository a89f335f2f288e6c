"""Flower's client: a device, which holds its own samples and is told nothing but parcels."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from dtkd_opt.federate import protocol as sides
from dtkd_opt.federate.flower.files import home, read_common, read_device
from dtkd_opt.federate.flower.messages import FAULT, FOUND, PARCEL, TASK, array_record, parcel_in
from dtkd_opt.federate.party_data import Common, Device
from dtkd_opt.federate.spec import TaskSpec
from dtkd_opt.runtime.jobs import one_line, reason_of

Held = tuple[Common, Device, TaskSpec]
Answer = Callable[[Message, Held], dict[str, Any]]


def _introduce(message: Message, held: Held) -> dict[str, Any]:
    """Tells who this is, and where the server trains brings the fresh samples."""
    common, device, spec = held
    if spec.place == "device":
        return {}
    return {PARCEL: array_record(sides.send_fresh(common, device))}


def _work(message: Message, held: Held) -> dict[str, Any]:
    """Train with the soft labels that came, or take over the weights that came; and score."""
    common, device, spec = held
    parcel = parcel_in(message)
    began, cpu = time.perf_counter(), time.process_time()
    found: dict[str, float] = {}
    if spec.place == "device":
        trained = sides.train_on_device(common, device, spec, parcel)
        network = trained.network
        found = {"loss": trained.loss, "steps": trained.steps}
    else:
        network = sides.receive(common, spec, parcel)
    found["accuracy"] = sides.score(common, network)
    spent = {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
    return {FOUND: ConfigRecord(found | spent)}


def _answering(answer: Answer) -> Callable[[Message, Context], Message]:
    """Flower's handler; whatever goes wrong is told in the reply."""

    def handle(message: Message, context: Context) -> Message:
        task = int(context.node_config["partition-id"])
        folder = Path(str(context.run_config["folder"]))
        own = Path(str(context.node_config.get("home", home(folder, task))))
        try:
            content = answer(message, (read_common(folder), *read_device(own)))
        except Exception as error:  # such as memory that does not suffice
            content = {FAULT: ConfigRecord({FAULT: one_line(reason_of(error))})}
        return Message(RecordDict({TASK: ConfigRecord({TASK: task}), **content}), reply_to=message)

    return handle


client = ClientApp()
client.query()(_answering(_introduce))
client.train()(_answering(_work))

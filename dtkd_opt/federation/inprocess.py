"""The engine of processes on this machine, which run a user's device and server in turn."""

from __future__ import annotations

import time

from dtkd_opt.distill.jobs import versions
from dtkd_opt.federation import protocol
from dtkd_opt.federation.party_data import PartyData
from dtkd_opt.federation.serialization import Payload, pack_weights, payload_bits
from dtkd_opt.federation.user_training import UserTraining, UserTrainingResult
from dtkd_opt.runtime.jobs import reason_of, this_worker


def execute(party: PartyData, task: UserTraining) -> UserTrainingResult:
    """Train as the plan says and score; any error becomes the result's reason."""
    started, cpu = time.perf_counter(), time.process_time()
    row = UserTrainingResult(spec=task, outcome="done", worker=this_worker(), versions=versions())
    try:
        result = _train(party, task)
    except Exception as error:  # such as memory that does not suffice
        return row.failed(reason_of(error))
    spent = {"seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu}
    return row.replace(**result | spent)


def _train(party: PartyData, task: UserTraining) -> dict[str, float]:
    up: Payload = {}
    if task.place == "device":
        down = protocol.send_labels(party.agent, task)
        trained = protocol.train_on_device(party.common, party.device, task, down)
        network = trained.network
    else:
        assert party.agent is not None  # a plan of hard labels alone trains nobody here
        up = protocol.send_fresh(party.common, party.device)
        trained = protocol.train_at_server(party.common, party.agent, task, up)
        down = pack_weights(trained.network)
        network = protocol.receive(party.common, task, down)
    return {
        "accuracy": protocol.score(party.common, network),
        "loss": trained.loss,
        "steps": trained.steps,
        "up_bits": payload_bits(up),
        "down_bits": payload_bits(down),
    }

"""The engine of this machine's processes: each does one user's two sides, one after the other."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

from dtkd_opt.distill.jobs import versions
from dtkd_opt.federate import protocol as sides
from dtkd_opt.federate.party_data import Case
from dtkd_opt.federate.serialization import pack_weights, parcel_bits
from dtkd_opt.federate.spec import Asked, Outcome
from dtkd_opt.runtime.jobs import reason_of, this_worker
from dtkd_opt.runtime.workers import RunJobs, workers


def in_process(jobs: int) -> AbstractContextManager[RunJobs[Outcome]]:
    """Yields who does the tasks in `jobs` processes at once, see `jobs/workers.py`."""
    return workers(jobs, None, execute, Outcome)


def execute(case: Case, asked: Asked) -> Outcome:
    """Train as the plan says and score; whatever goes wrong becomes the outcome's reason."""
    began, cpu = time.perf_counter(), time.process_time()
    row = Outcome(spec=asked, outcome="done", worker=this_worker(), versions=versions())
    try:
        found = (_on_device if asked.place == "device" else _at_server)(case, asked)
    except Exception as error:  # such as memory that does not suffice
        return row.failed(reason_of(error))
    spent = {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
    return row.model_copy(update=found | spent)


def _on_device(case: Case, asked: Asked) -> dict[str, float]:
    down = sides.send_labels(case.agent, asked)
    trained = sides.train_on_device(case.common, case.device, asked, down)
    return {
        "accuracy": sides.score(case.common, trained.network),
        "loss": trained.loss,
        "steps": trained.steps,
        "up_bits": 0,
        "down_bits": parcel_bits(down),
    }


def _at_server(case: Case, asked: Asked) -> dict[str, float]:
    assert case.agent is not None  # soft labels are learnt from
    up = sides.send_fresh(case.common, case.device)
    trained = sides.train_at_server(case.common, case.agent, asked, up)
    down = pack_weights(trained.network)
    return {
        "accuracy": sides.score(case.common, sides.receive(case.common, asked, down)),
        "loss": trained.loss,
        "steps": trained.steps,
        "up_bits": parcel_bits(up),
        "down_bits": parcel_bits(down),
    }

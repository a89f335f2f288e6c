"""Flower's server: the digital agents and their teacher. It appends each outcome to a file."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from flwr.app import Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

from dtkd_opt.distill.jobs import versions
from dtkd_opt.errors import DtkdError
from dtkd_opt.federate import protocol as sides
from dtkd_opt.federate.flower.files import read_agent, read_common, read_teacher
from dtkd_opt.federate.flower.messages import FAULT, FOUND, PARCEL, TASK, array_record, parcel_in
from dtkd_opt.federate.flower.status_files import MEETING_S, append, dead, say_fault, say_started
from dtkd_opt.federate.serialization import Payload, pack_weights, payload_bits
from dtkd_opt.federate.spec import TaskResult, TaskSpec
from dtkd_opt.runtime.jobs import this_worker

_PAUSE_S = 0.1
_GONE = "its client ended before it was done"
_ABSENT = "its client did not answer"


def _exchange(
    grid: Grid,
    letters: Mapping[int, Callable[[], Message]],
    most: int,
    gone: Callable[[int], bool],
) -> Iterator[tuple[int, Message | str]]:
    """Send each letter, at most so many at a time, and yield its key with the reply, or a fault.

    A letter is written when its turn comes: that of the server's place holds a whole training.
    """
    waiting, out = deque(letters), dict[str, int]()
    while waiting or out:
        while waiting and len(out) < most:
            key = waiting.popleft()
            if gone(key):
                yield key, _GONE
                continue
            try:
                (sent,) = grid.push_messages([letters[key]()])
            except DtkdError as error:  # of the training
                yield key, str(error)
                continue
            out[sent] = key
        for reply in grid.pull_messages(list(out)):
            yield out.pop(reply.metadata.reply_to_message_id), _read(reply)
        for sent, key in list(out.items()):
            if gone(key):
                del out[sent]
                yield key, _GONE
        time.sleep(_PAUSE_S)


def _read(reply: Message) -> Message | str:
    """The reply, or what went wrong."""
    if not reply.has_content():
        return f"Flower: {reply.error.reason}"
    faults = reply.content.config_records.get(FAULT)
    return reply if faults is None else str(faults[FAULT])


class _Course:
    """One run: meet the clients, send each what its place needs, and keep what they found."""

    def __init__(self, grid: Grid, folder: Path, tasks: int, most: int):
        self.grid, self.folder, self.tasks, self.most = grid, folder, tasks, most
        self.common = read_common(folder)
        self.teacher = read_teacher(folder, self.common)
        self.node: dict[int, int] = {}  # of each client that was met
        self.up: dict[int, Payload] = {}
        self.row: dict[int, TaskResult] = {}  # as far as it is known

    def run(self) -> None:
        """All rounds."""
        self._meet()
        places = {n: self._asked(n).place for n in self.node}
        order = sorted(self.node, key=lambda n: (places[n] != "device", n))  # none waits for us
        letters = {n: self._letter(n) for n in order}
        for n, reply in _exchange(self.grid, letters, self.most, self._gone):
            self._keep(n, reply)
        for n in set(range(self.tasks)) - set(self.node):
            self._fail(n, _GONE if self._gone(n) else _ABSENT)

    def _gone(self, n: int) -> bool:
        return dead(self.folder, n)

    def _asked(self, n: int) -> TaskSpec:
        return read_agent(self.folder, n, self.common, self.teacher)[1]

    def _meet(self) -> None:
        """Who is at which node; with the server's place they bring their fresh samples."""
        end = time.monotonic() + MEETING_S
        while len(nodes := list(self.grid.get_node_ids())) < self._alive():
            if time.monotonic() > end:
                break
            time.sleep(_PAUSE_S)
        letters = {node: self._query(node) for node in nodes}
        for node, reply in _exchange(self.grid, letters, self.most, lambda node: self._met_all()):
            if isinstance(reply, Message):
                n = int(reply.content.config_records[TASK][TASK])
                self.node[n], self.up[n] = node, parcel_in(reply)

    def _alive(self) -> int:
        return sum(not self._gone(n) for n in range(self.tasks))

    def _met_all(self) -> bool:
        return all(n in self.node or self._gone(n) for n in range(self.tasks))

    def _query(self, node: int) -> Callable[[], Message]:
        return lambda: Message(RecordDict(), dst_node_id=node, message_type="query")

    def _letter(self, n: int) -> Callable[[], Message]:
        """What the user's device waits for: soft labels, or weights once they are trained."""

        def write() -> Message:
            agent, spec = read_agent(self.folder, n, self.common, self.teacher)
            row = TaskResult(spec=spec, outcome="done", worker=this_worker(), versions=versions())
            found: dict[str, Any] = {}
            if spec.place == "device":
                parcel = sides.send_labels(agent, spec)
            else:
                assert agent is not None  # soft labels are learnt from
                began, cpu = time.perf_counter(), time.process_time()
                trained = sides.train_at_server(self.common, agent, spec, self.up[n])
                parcel = pack_weights(trained.network)
                found = {"loss": trained.loss, "steps": trained.steps}
                found["seconds"] = time.perf_counter() - began
                found["cpu_s"] = time.process_time() - cpu
            content = RecordDict({PARCEL: array_record(parcel)})
            message = Message(content, dst_node_id=self.node[n], message_type="train")
            found["up_bits"] = payload_bits(self.up[n])
            found["down_bits"] = payload_bits(parcel_in(message))
            self.row[n] = row.model_copy(update=found)
            return message

        return write

    def _keep(self, n: int, reply: Message | str) -> None:
        if isinstance(reply, str):
            self._fail(n, reply)
            return
        row, found = self.row[n], dict(reply.content.config_records[FOUND])
        for key in ("seconds", "cpu_s"):
            found[key] += getattr(row, key) or 0.0
        append(self.folder, row.model_copy(update=found))

    def _fail(self, n: int, reason: str) -> None:
        row = self.row.get(n) or TaskResult(spec=self._asked(n), outcome="failed")
        append(self.folder, row.failed(reason))


def _main(grid: Grid, context: Context) -> None:
    config = context.run_config
    folder = Path(str(config["folder"]))
    say_started(folder)
    try:
        _Course(grid, folder, int(config["tasks"]), int(config["most"])).run()
    except Exception as error:  # Flower itself keeps no word of it
        say_fault(folder, f"{type(error).__name__}: {error}")
        raise


server = ServerApp()
server.main()(_main)

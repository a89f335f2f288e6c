"""Flower's server: the digital agents and their teacher. It appends each outcome to a file."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from flwr.app import Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

from dtkd_opt.distill.jobs import versions
from dtkd_opt.federation import protocol
from dtkd_opt.federation.flower import messages, status_files
from dtkd_opt.federation.flower.files import read_agent, read_common, read_teacher
from dtkd_opt.federation.serialization import Payload, pack_weights, payload_bits
from dtkd_opt.federation.user_training import UserTraining, UserTrainingResult
from dtkd_opt.runtime.jobs import reason_of, this_worker

_POLL_S = 0.1
_JOIN_TIMEOUT_S = 120.0  # until all clients are there
_ENDED = "its client ended before it was done"
_ABSENT = "its client did not answer"


def _exchange(
    grid: Grid,
    outgoing: Mapping[int, Callable[[], Message | str]],
    max_in_flight: int,
    ended: Callable[[int], bool],
) -> Iterator[tuple[int, Message | str]]:
    """Send each message, at most so many at a time, and yield its key with the reply or its fault.

    A message, or what is wrong with it, is made when its turn comes: that of the server's place
    holds a whole training.
    """
    waiting, in_flight = deque(outgoing), dict[str, int]()
    while waiting or in_flight:
        while waiting and len(in_flight) < max_in_flight:
            key = waiting.popleft()
            if ended(key):
                yield key, _ENDED
                continue
            message = outgoing[key]()
            if isinstance(message, str):
                yield key, message
                continue
            (sent,) = grid.push_messages([message])
            in_flight[sent] = key
        for reply in grid.pull_messages(list(in_flight)):
            yield in_flight.pop(reply.metadata.reply_to_message_id), reply
        for sent, key in list(in_flight.items()):
            if ended(key):
                del in_flight[sent]
                yield key, _ENDED
        time.sleep(_POLL_S)


def _error_of(reply: Message | str) -> str | None:
    """Why there is nothing in a reply; None where there is."""
    if isinstance(reply, str):
        return reply
    if not reply.has_content():
        return f"Flower: {reply.error.reason}"
    errors = reply.content.config_records.get(messages.ERROR)
    return None if errors is None else str(errors[messages.ERROR])


class _Server:
    """One run: identify the clients, send each what its place needs, and keep the outcomes."""

    def __init__(self, grid: Grid, folder: Path, tasks: int, max_in_flight: int):
        self.grid, self.folder, self.tasks = grid, folder, tasks
        self.max_in_flight = max_in_flight
        self.common = read_common(folder)
        self.teacher = read_teacher(folder, self.common)
        self.node: dict[int, int] = {}  # of each client that was identified
        self.up: dict[int, Payload] = {}
        self.error: dict[int, str] = {}  # of a client that was identified and has sent nothing
        self.row: dict[int, UserTrainingResult] = {}  # as far as it is known

    def run(self) -> None:
        """Both exchanges."""
        self._identify_clients()
        places = {n: self._spec(n).place for n in self.up}
        # devices first: they train while the server does
        order = sorted(self.up, key=lambda n: (places[n] != "device", n))
        outgoing = {n: partial(self._payload_or_fault, n) for n in order}
        for n, reply in _exchange(self.grid, outgoing, self.max_in_flight, self._ended):
            self._keep(n, reply)
        for n in set(range(self.tasks)) - set(self.up):
            self._fail(n, self.error.get(n) or (_ENDED if self._ended(n) else _ABSENT))

    def _ended(self, n: int) -> bool:
        return status_files.client_ended(self.folder, n).exists()

    def _spec(self, n: int) -> UserTraining:
        return read_agent(self.folder, n, self.teacher)[1]

    def _identify_clients(self) -> None:
        """Which user is at which node; with the server's place it sends its fresh samples."""
        end = time.monotonic() + _JOIN_TIMEOUT_S
        while len(nodes := list(self.grid.get_node_ids())) < self.tasks - sum(
            map(self._ended, range(self.tasks))
        ):
            if time.monotonic() > end:
                break
            time.sleep(_POLL_S)
        outgoing = {
            node: partial(Message, RecordDict(), dst_node_id=node, message_type="query")
            for node in nodes
        }
        replies = _exchange(self.grid, outgoing, self.max_in_flight, lambda _: self._complete())
        for node, reply in replies:
            if isinstance(reply, str) or not reply.has_content():
                continue  # whose it is is not known: it is absent
            n = int(reply.content.config_records[messages.TASK][messages.TASK])
            self.node[n], error = node, _error_of(reply)
            if error is None:
                self.up[n] = messages.payload_of(reply)
            else:
                self.error[n] = error

    def _complete(self) -> bool:
        return all(n in self.node or self._ended(n) for n in range(self.tasks))

    def _payload_or_fault(self, n: int) -> Message | str:
        """The message to a user's device; what goes wrong with it is this user's alone."""
        try:
            return self._payload_message(n)
        except Exception as error:  # such as memory that does not suffice
            return reason_of(error)

    def _payload_message(self, n: int) -> Message:
        """What the user's device waits for: soft labels, or weights once they are trained."""
        agent, spec = read_agent(self.folder, n, self.teacher)
        row = UserTrainingResult(
            spec=spec, outcome="done", worker=this_worker(), versions=versions()
        )
        figures: dict[str, Any] = {}
        if spec.place == "device":
            payload = protocol.send_labels(agent, spec)
        else:
            assert agent is not None  # soft labels are learnt from
            started, cpu = time.perf_counter(), time.process_time()
            trained = protocol.train_at_server(self.common, agent, spec, self.up[n])
            payload = pack_weights(trained.network)
            spent = {"seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu}
            figures = {"loss": trained.loss, "steps": trained.steps} | spent
        content = RecordDict({messages.PAYLOAD: messages.array_record(payload)})
        message = Message(content, dst_node_id=self.node[n], message_type="train")
        figures["up_bits"] = payload_bits(self.up[n])
        figures["down_bits"] = payload_bits(messages.payload_of(message))
        self.row[n] = row.replace(**figures)
        return message

    def _keep(self, n: int, reply: Message | str) -> None:
        if (error := _error_of(reply)) is not None:
            self._fail(n, error)
            return
        assert isinstance(reply, Message)  # words are errors
        row, figures = self.row[n], dict(reply.content.config_records[messages.RESULT])
        for key in ("seconds", "cpu_s"):
            figures[key] += getattr(row, key) or 0.0
        status_files.append_outcome(self.folder, row.replace(**figures))

    def _fail(self, n: int, reason: str) -> None:
        row = self.row.get(n) or UserTrainingResult(spec=self._spec(n), outcome="failed")
        status_files.append_outcome(self.folder, row.failed(reason))


def _main(grid: Grid, context: Context) -> None:
    config = context.run_config
    folder = Path(str(config["folder"]))
    status_files.started(folder).touch()
    try:
        _Server(grid, folder, int(config["tasks"]), int(config["max-in-flight"])).run()
    except Exception as error:  # Flower itself keeps no word of it
        status_files.server_error(folder).write_text(f"{type(error).__name__}: {error}")
        raise


server = ServerApp()
server.main()(_main)

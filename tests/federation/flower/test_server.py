"""Flower's server and its clients, in this process: what one of them does wrong is its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dtkd_opt.federation import protocol
from dtkd_opt.federation.flower.files import home, write_files
from dtkd_opt.federation.flower.status_files import read_outcomes
from dtkd_opt.federation.party_data import PartyData
from dtkd_opt.federation.user_training import UserTraining

pytest.importorskip("flwr")

from flwr.app import Context, Message, RecordDict

from dtkd_opt.federation.flower.client import client
from dtkd_opt.federation.flower.server import server

Wanted = list[tuple[PartyData, UserTraining]]


class LocalGrid:
    """In place of Flower's: a message is answered by its client at once."""

    def __init__(self, clients: int, config: dict[str, Any]):
        self.clients, self.config = clients, config
        self.replies: dict[str, Message] = {}

    def get_node_ids(self) -> Iterable[int]:
        return range(1, self.clients + 1)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        (message,) = messages
        sent = message.metadata.__dict__["_message_id"] = str(len(self.replies))
        node = message.metadata.dst_node_id
        context = Context(1, node, {"partition-id": node - 1}, RecordDict(), self.config)
        self.replies[sent] = client(message, context)
        return [sent]

    def pull_messages(self, sent: Iterable[str]) -> list[Message]:
        return [self.replies[one] for one in sent]


@pytest.fixture(autouse=True)
def flowers_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages can be made: in a run Flower tells its processes which one it is."""
    identity = pytest.importorskip("flwr.supercore.task_identity").TaskIdentity
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(identity, name, 1)


def outcomes(wanted: Wanted, folder: Path) -> dict[str, str]:
    """Each user's reason, empty where it is done."""
    config = {"folder": str(folder), "tasks": len(wanted), "max-in-flight": 2}
    context = Context(1, 0, {}, RecordDict(), config)
    server(LocalGrid(len(wanted), config), context)
    rows = list(read_outcomes(folder, 0))
    assert len(rows) == len(wanted)
    return {row.spec.user: row.reason for row in rows}


def test_a_training_that_breaks_at_the_server_is_one_users(
    wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = protocol.train_at_server

    def train(common: Any, agent: Any, task: UserTraining, fresh: Any) -> Any:
        if task.user == "u1":
            raise MemoryError("of the server")
        return real(common, agent, task, fresh)

    monkeypatch.setattr(protocol, "train_at_server", train)
    write_files(tmp_path, wanted)
    found = outcomes(wanted, tmp_path)
    assert found == {"u0": "", "u1": "MemoryError: of the server", "u2": ""}


def test_a_client_that_cannot_read_its_data_says_so(wanted: Wanted, tmp_path: Path) -> None:
    write_files(tmp_path, wanted)
    (home(tmp_path, 2) / "device.npz").write_bytes(b"")
    found = outcomes(wanted, tmp_path)
    assert (found.pop("u0"), found.pop("u1")) == ("", "")
    assert found["u2"].startswith("EOFError: ")

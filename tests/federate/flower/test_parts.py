"""The parts of Flower's engine: files, processes, outcomes, faults."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dtkd_opt.distill.data import load_data
from dtkd_opt.distill.teacher import load_teacher
from dtkd_opt.distill.training import TrainConfig, predict
from dtkd_opt.errors import DtkdError
from dtkd_opt.federate.flower import flower as engine
from dtkd_opt.federate.flower.files import (
    home,
    read_agent,
    read_common,
    read_device,
    read_teacher,
    write_files,
)
from dtkd_opt.federate.flower.processes import Processes, free_ports
from dtkd_opt.federate.flower.status_files import append, outcomes
from dtkd_opt.federate.party_data import PartyData, common_of, party_data_of
from dtkd_opt.federate.shards import Shard
from dtkd_opt.federate.spec import TaskResult, TaskSpec
from tests.support.comparing import wait_for

flower = pytest.mark.skipif(find_spec("flwr") is None, reason="needs the extra federated")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("teachers")


@flower
@pytest.mark.filterwarnings("ignore")  # those of Flower's imports
def test_parcels_are_arrays_of_as_many_bytes() -> None:
    from dtkd_opt.federate.flower.messages import array_record

    parcel = {"images": bytes(range(256)) * 3, "labels": b""}
    record = array_record(parcel)
    copy = type(record).inflate(
        record.deflate(), {x.object_id: x for x in record.children.values()}
    )
    assert {name: array.data for name, array in copy.items()} == parcel


@flower
@pytest.mark.filterwarnings("ignore")
def test_a_superlink_that_does_not_answer_is_told() -> None:
    from dtkd_opt.federate.flower.control import Control, is_up

    (port,) = free_ports(1)
    assert not is_up(f"127.0.0.1:{port}")
    with pytest.raises(DtkdError, match=f"SuperLink at 127.0.0.1:{port}: ConnectError"):
        Control(f"127.0.0.1:{port}", {"folder": "", "tasks": 1, "most": 1}, 1, 1)


def test_where_a_run_breaks_down_the_others_have_failed(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = tasks(cache)
    done = TaskResult(spec=wanted[1][1], outcome="done", accuracy=0.5)

    def rows(*given: Any) -> Iterator[TaskResult]:
        yield done
        raise DtkdError("the SuperLink fell over")

    monkeypatch.setattr(sys.modules["dtkd_opt.federate.flower"], "_rows", rows)
    with engine(2, False) as work:
        found = list(work(wanted))
    assert found[0] == done
    assert [row.spec for row in found[1:]] == [wanted[0][1], wanted[2][1]]
    assert {(row.outcome, row.reason) for row in found[1:]} == {
        ("failed", "the SuperLink fell over")
    }


def tasks(cache: Path) -> list[tuple[PartyData, TaskSpec]]:
    data = load_data("digits")
    few = TrainConfig(epochs=1, batch_size=32)
    teacher = load_teacher(data, cache, config=few, rows=data.train[:300])
    common, found = common_of(data), []
    for n, fresh in enumerate((20, 0, 60)):
        shard = Shard(data.train[60 * n : 60 * n + 60], fresh)
        spec = TaskSpec(
            user=f"u{n}", student="logreg", place="server", config=few, seed=n, data="digits",
            data_sha256="", samples=60, fresh=fresh, shard_sha256="", teacher_sha256="",
            version="",
        )  # fmt: skip
        found.append((party_data_of(data, common, shard, teacher), spec))
    return found


def test_each_side_reads_what_it_holds(cache: Path, tmp_path: Path) -> None:
    wanted = tasks(cache)
    write_files(tmp_path, wanted)
    common = read_common(tmp_path)
    teacher = read_teacher(tmp_path, common)
    images = common.scale.standardise(common.test.raw)
    for n, (case, spec) in enumerate(wanted):
        device, question = read_device(home(tmp_path, n))
        agent, copy = read_agent(tmp_path, n, common, teacher)
        assert agent is not None
        assert case.agent is not None
        assert question == copy == spec
        assert device.fresh == case.device.fresh
        for ours, theirs in ((device.samples, case.device.samples),
                             (agent.mirrored, case.agent.mirrored)):  # fmt: skip
            assert np.array_equal(ours.raw, theirs.raw)
            assert np.array_equal(ours.labels, theirs.labels)
        assert torch.equal(agent.logits, case.agent.logits)
        assert teacher is not None
        assert torch.equal(predict(teacher, images), predict(case.agent.teacher, images))
        assert os.listdir(home(tmp_path, n)) == ["device.npz"]


def test_hard_labels_alone_take_no_agent(cache: Path, tmp_path: Path) -> None:
    alone = [(replace(case, agent=None), spec) for case, spec in tasks(cache)]
    write_files(tmp_path, alone)
    common = read_common(tmp_path)
    assert read_teacher(tmp_path, common) is None
    assert read_agent(tmp_path, 1, common, None) == (None, alone[1][1])
    assert sorted(os.listdir(tmp_path / "server")) == [f"agent-{n}.npz" for n in range(3)]


def test_outcomes_are_read_once_and_whole(cache: Path, tmp_path: Path) -> None:
    rows = [TaskResult(spec=spec, outcome="done", accuracy=0.5) for _, spec in tasks(cache)]
    assert list(outcomes(tmp_path, 0)) == []
    append(tmp_path, rows[0])
    append(tmp_path, rows[1])
    with (tmp_path / "outcomes.jsonl").open("ab") as file:
        file.write(json.dumps({"asked": "half"}).encode())
    assert list(outcomes(tmp_path, 0)) == rows[:2]
    assert list(outcomes(tmp_path, 1)) == rows[1:2]


def kill_one_then_press_ctrl_c(folder: Path, pids: Path) -> None:
    script = f"sleep 100 & echo $! >> {pids}; echo $$ >> {pids}; echo hello; wait"
    with Processes(folder) as processes:
        for name in ("one", "two"):
            processes.start(name, "sh", "-c", script)
        wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 4)
        assert processes.last_words("one") == "hello"
        assert not processes.ended("one")
        os.kill(int(pids.read_text().split()[1]), signal.SIGKILL)
        wait_for(lambda: processes.ended("one") or processes.ended("two"))
        raise KeyboardInterrupt


def test_processes_end_with_their_children_whatever_happens(tmp_path: Path) -> None:
    """Also the children of one that was killed."""
    pids = tmp_path / "pids"
    with pytest.raises(KeyboardInterrupt):
        kill_one_then_press_ctrl_c(tmp_path, pids)
    wait_for(lambda: not any(alive(int(pid)) for pid in pids.read_text().split()))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ports_are_free_and_differ() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert min(ports) > 1023

"""The engine of Flower: the same accuracies and bits, clients that die, nothing left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from comparing import wait_for
from federating import PROGRAM, instance, plan

import dtkd_opt as do
from dtkd_opt.distill.data import load_data
from dtkd_opt.distill.teacher import load_teacher
from dtkd_opt.distill.training import Recipe, predict
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
from dtkd_opt.federate.flower.signs import append, outcomes
from dtkd_opt.federate.holdings import Case, case_of, common_of
from dtkd_opt.federate.question import Asked, Outcome
from dtkd_opt.federate.shards import Shard

flower = pytest.mark.skipif(find_spec("flwr") is None, reason="needs the extra federated")
SHARES = ((240, 0.5, "server"), (120, 0.25, "device"), (100, 0.0, "server"))
COLUMNS = ["name", "realised_accuracy", "up_bits", "down_bits", "loss", "steps", "outcome"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("teachers")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of an instance and a plan."""
    folder, problem = tmp_path_factory.mktemp("small"), instance(shares=SHARES)
    do.write_instance(problem, folder / "i.json")
    do.write_solution(plan(problem, SHARES), folder / "s.json")
    return folder


def carry_out(small: Path, cache: Path, **more: Any) -> do.Federation:
    problem, solution = do.read_instance(small / "i.json"), do.read_solution(small / "s.json")
    return do.federate(problem, solution, cache=cache, **more)


@pytest.fixture(scope="module")
def reference(small: Path, cache: Path) -> do.Federation:
    return carry_out(small, cache)


def same(found: pd.DataFrame, reference: do.Federation) -> None:
    pd.testing.assert_frame_equal(
        found[COLUMNS], reference.users[COLUMNS], check_dtype=False, rtol=0, atol=0
    )


@flower
def test_the_simulation_gives_the_same_to_the_last_bit(
    small: Path, cache: Path, reference: do.Federation
) -> None:
    same(carry_out(small, cache, engine="flower-simulation").users, reference)


@flower
@pytest.mark.slow
def test_processes_give_the_same_to_the_last_bit(
    small: Path, cache: Path, reference: do.Federation
) -> None:
    same(carry_out(small, cache, engine="flower").users, reference)


class Running:
    """`dtkd-opt federate --engine flower` as a process, its temporary files in `folder`."""

    def __init__(self, small: Path, cache: Path, folder: Path):
        self.folder, self.output = folder, folder / "o"
        words = [str(small / "i.json"), str(small / "s.json"), "--cache", str(cache),
                 "--engine", "flower", "--output", str(self.output)]  # fmt: skip
        self.process = subprocess.Popen(
            [*PROGRAM, *words], env=os.environ | {"TMPDIR": str(folder)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        patiently(lambda: any(folder.glob("dtkd-*/started")))

    def left(self, words: str = "") -> list[int]:
        """Living processes of this one, by their environment; those with `words` in their call."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # ended meanwhile
                ours = str(self.folder).encode() in (path / "environ").read_bytes()
                if ours and words.encode() in (path / "cmdline").read_bytes():
                    found.append(int(path.name))
        return found

    def lines(self) -> int:
        return (self.output / "users.jsonl").read_bytes().count(b"\n")

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()


def patiently(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 240
    while not what():
        assert time.monotonic() < end
        time.sleep(0.1)


@flower
@pytest.mark.slow
def test_a_client_that_dies_fails_alone_and_is_resumed(
    small: Path, cache: Path, reference: do.Federation, tmp_path: Path
) -> None:
    with Running(small, cache, tmp_path) as running:
        (node,) = running.left("partition-id=0 ")
        os.kill(node, signal.SIGKILL)
        _, error = running.process.communicate(timeout=240)
    names = reference.users.name.tolist()
    assert running.process.returncode == 1
    (line,) = error.splitlines()
    assert line.startswith("failed: u")
    assert line.endswith("its client ended before it was done")
    dead = line.split(":")[1].strip()
    found = pd.read_csv(running.output / "users.csv").set_index("name")
    assert set(found.index[found.outcome == "done"]) == set(names) - {dead}
    patiently(lambda: running.left() == [])
    again = carry_out(small, cache, output=running.output, resume=True)  # any engine may
    same(again.users, reference)


@flower
@pytest.mark.slow
def test_ctrl_c_ends_all_processes_and_keeps_who_is_done(
    small: Path, cache: Path, tmp_path: Path
) -> None:
    with Running(small, cache, tmp_path) as running:
        assert len(running.left()) > 3
        patiently(lambda: running.lines() > 0)
        os.killpg(running.process.pid, signal.SIGINT)
        out, error = running.process.communicate(timeout=30)
    assert (running.process.returncode, out) == (130, "")
    assert error == "interrupted; users that are done are kept, --resume goes on\n"
    patiently(lambda: running.left() == [])
    assert sorted(os.listdir(tmp_path)) == ["o"]
    assert os.listdir(running.output) == ["users.jsonl"]


@flower
@pytest.mark.filterwarnings("ignore")  # those of Flower's imports
def test_parcels_are_arrays_of_as_many_bytes() -> None:
    from dtkd_opt.federate.flower.letters import array_record

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


@flower
def test_another_flower_is_refused(
    small: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_module("dtkd_opt.federate.run")
    monkeypatch.setattr(sys.modules["dtkd_opt.federate.run"], "_FLOWER", "2.0.0")
    with pytest.raises(do.InputError, match=r"needs flwr 2\.0\.0, here is 1\.42\.0"):
        carry_out(small, cache, engine="flower")


def test_where_a_run_breaks_down_the_others_have_failed(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = tasks(cache)
    done = Outcome(asked=wanted[1][1], outcome="done", accuracy=0.5)

    def rows(*given: Any) -> Iterator[Outcome]:
        yield done
        raise DtkdError("the SuperLink fell over")

    monkeypatch.setattr(sys.modules["dtkd_opt.federate.flower"], "_rows", rows)
    with engine(2, False) as work:
        found = list(work(wanted))
    assert found[0] == done
    assert [row.asked for row in found[1:]] == [wanted[0][1], wanted[2][1]]
    assert {(row.outcome, row.reason) for row in found[1:]} == {
        ("failed", "the SuperLink fell over")
    }


def tasks(cache: Path) -> list[tuple[Case, Asked]]:
    data = load_data("digits")
    few = Recipe(epochs=1, batch_size=32)
    teacher = load_teacher(data, cache, recipe=few, rows=data.train[:300])
    common, found = common_of(data), []
    for n, fresh in enumerate((20, 0, 60)):
        shard = Shard(data.train[60 * n : 60 * n + 60], fresh)
        asked = Asked(
            user=f"u{n}", student="logreg", place="server", recipe=few, seed=n, data="digits",
            data_sha256="", samples=60, fresh=fresh, shard_sha256="", teacher_sha256="",
            version="",
        )  # fmt: skip
        found.append((case_of(data, common, shard, teacher), asked))
    return found


def test_each_side_reads_what_it_holds(cache: Path, tmp_path: Path) -> None:
    wanted = tasks(cache)
    write_files(tmp_path, wanted)
    common = read_common(tmp_path)
    teacher = read_teacher(tmp_path, common)
    images = common.scale.standardise(common.test.raw)
    for n, (case, asked) in enumerate(wanted):
        device, question = read_device(home(tmp_path, n))
        agent, copy = read_agent(tmp_path, n, common, teacher)
        assert question == copy == asked
        assert device.fresh == case.device.fresh
        for ours, theirs in ((device.samples, case.device.samples),
                             (agent.mirrored, case.agent.mirrored)):  # fmt: skip
            assert np.array_equal(ours.raw, theirs.raw)
            assert np.array_equal(ours.labels, theirs.labels)
        assert torch.equal(agent.logits, case.agent.logits)
        assert torch.equal(predict(teacher, images), predict(case.agent.teacher, images))
        assert os.listdir(home(tmp_path, n)) == ["device.npz"]


def test_outcomes_are_read_once_and_whole(cache: Path, tmp_path: Path) -> None:
    rows = [Outcome(asked=asked, outcome="done", accuracy=0.5) for _, asked in tasks(cache)]
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

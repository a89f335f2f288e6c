"""The engine of Flower: the same accuracies and bits, clients that die, nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import dtkd_opt as do
from dtkd_opt.federation.flower.engine import flower as engine
from dtkd_opt.federation.party_data import PartyData
from dtkd_opt.federation.user_training import UserTraining
from tests.support.federating import PROGRAM, instance, plan, write
from tests.support.sockets import Watch

flower = pytest.mark.skipif(find_spec("flwr") is None, reason="needs the extra federated")
SHARES = ((240, 0.5, "server"), (120, 0.25, "device"), (100, 0.0, "server"))
COLUMNS = ["name", "realised_accuracy", "up_bits", "down_bits", "loss", "steps", "outcome"]
# a SuperLink that listens at its port, and is not one
SUPERLINK = f"""exec {sys.executable} -c '
import socket, sys, time
link = socket.create_server(("127.0.0.1", int(sys.argv[-1])))
time.sleep(60)' "$@"
"""


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("teachers")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    problem = instance(shares=SHARES)
    return write(problem, plan(problem, SHARES), tmp_path_factory.mktemp("small"))


def carry_out(small: Path, cache: Path, resume: Path | None = None, **more: Any) -> do.Federation:
    """Trained anew, or with the users in the folder `resume` gone on with."""
    problem, solution = do.read_instance(small / "i.json"), do.read_solution(small / "s.json")
    spec = do.FederationSpec(cache=cache, **more)
    return do.federate(problem, solution, spec, output=resume, resume=resume is not None)


def carry_out_on_loopback(
    monkeypatch: pytest.MonkeyPatch, small: Path, cache: Path, **more: Any
) -> do.Federation:
    """The same, while nothing of it listens on other interfaces."""
    monkeypatch.setenv("WATCHED", word := f"{cache}, watched")
    with Watch(word) as watch:
        found = carry_out(small, cache, **more)
    assert {str(address) for address in watch.found} == {"127.0.0.1"}
    return found


@pytest.fixture(scope="session")
def reference(small: Path, cache: Path) -> do.Federation:
    return carry_out(small, cache)


def same(found: pd.DataFrame, reference: do.Federation) -> None:
    pd.testing.assert_frame_equal(
        found[COLUMNS], reference.users[COLUMNS], check_dtype=False, rtol=0, atol=0
    )


@flower
def test_the_simulation_gives_the_same_to_the_last_bit(
    small: Path, cache: Path, reference: do.Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = carry_out_on_loopback(monkeypatch, small, cache, engine="flower-simulation")
    same(found.users, reference)


@flower
@pytest.mark.slow
def test_with_hard_labels_nothing_is_sent_and_accuracies_are_the_same(
    small: Path, cache: Path
) -> None:
    plans = {"local": do.local_only(do.read_instance(small / "i.json"))}
    ours, theirs = (
        do.federate_all(plans, do.FederationSpec(cache=cache, engine=engine))["local"]
        for engine in ("in-process", "flower-simulation")
    )
    same(theirs.users, ours)
    assert theirs.users[["up_bits", "down_bits"]].to_numpy().max() == 0


@flower
@pytest.mark.slow
def test_processes_give_the_same_to_the_last_bit(
    small: Path, cache: Path, reference: do.Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    same(carry_out_on_loopback(monkeypatch, small, cache, engine="flower").users, reference)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("flower-superlink", "Flower's SuperLink: no memory"),
        ("flower-superexec", "Flower's superexec ended: no memory"),
        ("flwr", "Flower's run ended: it printed: no memory"),
        ("nothing", "Flower's SuperLink: "),  # none is installed
    ],
)
def test_where_a_command_breaks_down_the_users_have_failed(
    wanted: list[tuple[PartyData, UserTraining]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    reason: str,
) -> None:
    scripts = {"flower-superlink": SUPERLINK} | dict.fromkeys(
        ("flower-superexec", "flower-supernode", "flwr"), "exec sleep 60"
    )
    if command == "nothing":
        scripts = {}
    else:
        scripts[command] = "echo no memory"
    for name, script in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))  # Flower's lie beside it
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    found = list(engine(2, False, wanted))
    assert [row.spec for row in found] == [spec for _, spec in wanted]
    assert {row.outcome for row in found} == {"failed"}
    (said,) = {row.reason for row in found}
    assert said is not None
    assert said.startswith(reason)


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
        for pid in running.left("partition-id=0 "):  # the client, and what guards it
            os.kill(pid, signal.SIGKILL)
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
    again = carry_out(small, cache, resume=running.output)  # any engine may
    same(again.users, reference)


@flower
@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_all_processes_end_with_the_command_and_who_is_done_is_kept(
    small: Path, cache: Path, tmp_path: Path, end: signal.Signals
) -> None:
    with Running(small, cache, tmp_path) as running:
        assert len(running.left()) > 3
        patiently(lambda: running.lines() > 0)
        os.killpg(running.process.pid, end)
        out, error = running.process.communicate(timeout=30)
    patiently(lambda: running.left() == [])
    assert os.listdir(running.output) == ["users.jsonl"]
    if end == signal.SIGINT:
        assert (running.process.returncode, out) == (130, "")
        assert error == "interrupted; users that are done are kept, --resume goes on\n"
        assert sorted(os.listdir(tmp_path)) == ["o"]


@flower
def test_another_flower_is_refused(
    small: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dtkd_opt.federation.run.version", lambda name: "2.0.0")
    with pytest.raises(do.InputError, match=r"needs flwr>=1\.40,<2, here is 2\.0\.0"):
        carry_out(small, cache, engine="flower")

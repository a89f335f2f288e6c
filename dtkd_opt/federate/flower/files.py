"""What each side reads from disk: a client its own device's file, the server its agents'.

Below a folder are `common`, `node-<n>/device` and `server/`; users are numbered as tasks. The
folder is that of one run, which other users of the machine cannot enter: so the files are pickles.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import joblib
from torch import nn

from dtkd_opt.federate.party_data import Agent, Common, Device, PartyData
from dtkd_opt.federate.spec import TaskSpec


def home(folder: Path, task: int) -> Path:
    """The folder of a client's own."""
    return folder / f"node-{task}"


def write_files(folder: Path, tasks: Sequence[tuple[PartyData, TaskSpec]]) -> None:
    """Write what both sides read."""
    server, first = folder / "server", tasks[0][0]
    server.mkdir()
    joblib.dump(first.common, folder / "common")
    joblib.dump(first.agent and first.agent.teacher, server / "teacher")
    for n, (party, spec) in enumerate(tasks):
        home(folder, n).mkdir()
        joblib.dump((party.device, spec), home(folder, n) / "device")
        agent = party.agent and (party.agent.mirrored, party.agent.logits)
        joblib.dump((agent, spec), server / f"agent-{n}")


def read_common(folder: Path) -> Common:
    """What everybody knows."""
    return cast(Common, joblib.load(folder / "common"))


def read_device(folder: Path) -> tuple[Device, TaskSpec]:
    """What a client holds in its own folder, and its part of the plan."""
    return cast(tuple[Device, TaskSpec], joblib.load(folder / "device"))


def read_teacher(folder: Path) -> nn.Module | None:
    """The server's teacher, if there is one."""
    return cast(nn.Module | None, joblib.load(folder / "server" / "teacher"))


def read_agent(folder: Path, task: int, teacher: nn.Module | None) -> tuple[Agent | None, TaskSpec]:
    """What a user's digital agent holds at the server, and its part of the plan."""
    agent, spec = joblib.load(folder / "server" / f"agent-{task}")
    if teacher is None:
        return None, spec
    mirrored, logits = agent
    return Agent(mirrored, logits, teacher), spec

"""What each side reads from disk: a client its own device's file, the server its agents'.

Below a folder are `common.npz`, `node-<n>/device.npz` and `server/`; users are numbered as tasks.
Files hold plain arrays, and of each user its part of the plan as JSON: reading them runs no code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dtkd_opt.distill.data import Scale
from dtkd_opt.distill.networks import TEACHER, build_network
from dtkd_opt.federation.party_data import Agent, Common, Device, PartyData, Samples
from dtkd_opt.federation.user_training import UserTraining


def home(folder: Path, task: int) -> Path:
    """The folder of a client's own."""
    return folder / f"node-{task}"


def write_files(folder: Path, tasks: Sequence[tuple[PartyData, UserTraining]]) -> None:
    """Write what both sides read."""
    common, agent, server = tasks[0][0].common, tasks[0][0].agent, folder / "server"
    scale, test = vars(common.scale), vars(common.test)
    np.savez(folder / "common.npz", classes=common.classes, **scale, **test)
    server.mkdir()
    if agent is not None:
        np.savez(server / "teacher.npz", **agent.teacher.state_dict())
    for n, (party, spec) in enumerate(tasks):
        part, agent = dict[str, Any](spec=spec.model_dump_json()), party.agent
        home(folder, n).mkdir()
        np.savez(home(folder, n) / "device.npz", **part, **vars(party.device.samples))
        held = {} if agent is None else {"logits": agent.logits} | vars(agent.mirrored)
        np.savez(server / f"agent-{n}.npz", **part, **held)


def read_common(folder: Path) -> Common:
    """What everybody knows."""
    file = _read(folder / "common.npz")
    scale = Scale(torch.from_numpy(file["mean"]), torch.from_numpy(file["std"]))
    return Common(scale, int(file["classes"]), Samples(file["raw"], file["labels"]))


def read_device(folder: Path) -> tuple[Device, UserTraining]:
    """What a client holds in its own folder, and its part of the plan."""
    file = _read(folder / "device.npz")
    spec = UserTraining.model_validate_json(str(file["spec"]))
    return Device(Samples(file["raw"], file["labels"]), spec.fresh), spec


def read_teacher(folder: Path, common: Common) -> nn.Module | None:
    """The server's teacher, if there is one."""
    if not (path := folder / "server" / "teacher.npz").exists():
        return None
    network = build_network(TEACHER, common.shape, common.classes, seed=0)
    network.load_state_dict({name: torch.from_numpy(part) for name, part in _read(path).items()})
    return network.eval()


def read_agent(
    folder: Path, task: int, teacher: nn.Module | None
) -> tuple[Agent | None, UserTraining]:
    """What a user's digital agent holds at the server, and its part of the plan."""
    file = _read(folder / "server" / f"agent-{task}.npz")
    spec = UserTraining.model_validate_json(str(file["spec"]))
    if teacher is None:
        return None, spec
    mirrored, logits = Samples(file["raw"], file["labels"]), torch.from_numpy(file["logits"])
    return Agent(mirrored, logits, teacher), spec


def _read(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return dict(file)

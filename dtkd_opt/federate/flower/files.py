"""What each side reads from disk: a client its own device's file, the server its agents'.

Below a folder are `common.npz`, `node-<n>/device.npz` and `server/`; users are numbered as tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dtkd_opt.distill.data import Scale
from dtkd_opt.distill.networks import TEACHER, build_network
from dtkd_opt.federate.party_data import Agent, Common, Device, PartyData, Samples
from dtkd_opt.federate.serialization import pack_logits, pack_weights, unpack_logits, unpack_weights
from dtkd_opt.federate.spec import TaskSpec


def home(folder: Path, task: int) -> Path:
    """The folder of a client's own."""
    return folder / f"node-{task}"


def write_files(folder: Path, tasks: Sequence[tuple[PartyData, TaskSpec]]) -> None:
    """Write what both sides read."""
    common, agent = tasks[0][0].common, tasks[0][0].agent
    scale = {"mean": common.scale.mean.numpy(), "spread": common.scale.spread.numpy()}
    _save(folder / "common.npz", common.test, classes=np.array(common.classes), **scale)
    (folder / "server").mkdir()
    if agent is not None:
        (folder / "server" / "teacher").write_bytes(pack_weights(agent.teacher)["weights"])
    for n, (case, spec) in enumerate(tasks):
        home(folder, n).mkdir()
        fields = {"spec": np.array(spec.model_dump_json())}
        fresh = np.array(case.device.fresh)
        _save(home(folder, n) / "device.npz", case.device.samples, fresh=fresh, **fields)
        path = folder / "server" / f"agent-{n}.npz"
        if case.agent is None:
            np.savez(path, allow_pickle=False, **fields)
            continue
        logits = np.frombuffer(pack_logits(case.agent.logits)["logits"], np.uint8)
        _save(path, case.agent.mirrored, logits=logits, **fields)


def _save(path: Path, samples: Samples, **more: NDArray[Any]) -> None:
    np.savez(path, allow_pickle=False, raw=samples.raw, labels=samples.labels, **more)


def _load(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _samples(held: dict[str, NDArray[Any]]) -> Samples:
    return Samples(held["raw"], held["labels"])


def read_common(folder: Path) -> Common:
    """What everybody knows."""
    held = _load(folder / "common.npz")
    scale = Scale(torch.from_numpy(held["mean"]), torch.from_numpy(held["spread"]))
    return Common(scale, int(held["classes"]), _samples(held))


def read_device(folder: Path) -> tuple[Device, TaskSpec]:
    """What a client holds in its own folder, and its part of the plan."""
    held = _load(folder / "device.npz")
    return Device(_samples(held), int(held["fresh"])), _spec(held)


def read_teacher(folder: Path, common: Common) -> nn.Module | None:
    """The server's teacher, if there is one."""
    path = folder / "server" / "teacher"
    if not path.exists():
        return None
    network = build_network(TEACHER, common.shape, common.classes, 0)
    unpack_weights({"weights": path.read_bytes()}, network)
    return network.eval()


def read_agent(
    folder: Path, task: int, common: Common, teacher: nn.Module | None
) -> tuple[Agent | None, TaskSpec]:
    """What a user's digital agent holds at the server, and its part of the plan."""
    held = _load(folder / "server" / f"agent-{task}.npz")
    if teacher is None:
        return None, _spec(held)
    logits = unpack_logits({"logits": held["logits"].tobytes()}, common)
    return Agent(_samples(held), logits, teacher), _spec(held)


def _spec(held: dict[str, NDArray[Any]]) -> TaskSpec:
    return TaskSpec.model_validate_json(str(held["spec"]))

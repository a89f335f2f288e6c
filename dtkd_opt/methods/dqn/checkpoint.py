"""What changes in a training of `dqn`, and the file from which it goes on.

The checkpoint is one safetensors file with the weights of the networks, the optimizer's moments and
the replay buffer; settings, step and learning curve lie as JSON in its header. A resumed training
starts with a new game and new random numbers.
"""

from __future__ import annotations

import copy
from collections import deque
from pathlib import Path
from typing import Annotated, Literal, cast

import numpy as np
from pydantic import Field, Strict

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.methods.dqn.game import FEATURES_VERSION
from dtkd_opt.methods.dqn.learning_curve import CurveRow
from dtkd_opt.methods.dqn.network import QNetwork, check_tensors, read_tensors, safetensors, torch
from dtkd_opt.methods.dqn.replay_buffer import Transitions, concatenate, is_sound, split
from dtkd_opt.methods.dqn.rollout import Rollout
from dtkd_opt.methods.dqn.settings import DQNTrainSettings
from dtkd_opt.records.arguments import as_kind
from dtkd_opt.records.fields import Count, NonNegative, Positive, Record
from dtkd_opt.records.files import write_atomic
from dtkd_opt.records.json_text import parse_json
from dtkd_opt.records.result_files import DQN_CHECKPOINT
from dtkd_opt.records.validation import validate
from dtkd_opt.runtime.compiler import import_compiler
from dtkd_opt.runtime.threads import as_device, torch_seed

_MAY_CHANGE = ("steps", "minutes")  # settings of a resumed training
_MAX_FLOAT = float(np.finfo(np.float32).max)
_Step = Annotated[int, Strict(), Field(ge=0)]
_Tensors = dict[str, torch.Tensor]


class TrainStage(Record):
    """An earlier part of a training that was resumed."""

    steps: Count  # its setting
    minutes: Positive | None
    until: _Step  # its last step


class CheckpointHeader(Record):
    """What a checkpoint holds beside tensors."""

    format: Literal["dtkd-opt/dqn-checkpoint/2"]
    features: Annotated[int, Strict()]
    settings: DQNTrainSettings
    step: _Step
    elapsed_s: NonNegative
    curve: list[CurveRow]
    stages: list[TrainStage]


class TrainState:
    """What changes in a training: networks, optimizer, replay buffer, game, time, curve."""

    def __init__(self, settings: DQNTrainSettings, device: str = "cpu"):
        words = "settings must be DQNTrainSettings(...)"
        self.settings = settings = as_kind(DQNTrainSettings, settings, words)
        self.device = device = as_device(device)
        with torch_seed(settings.seed):  # the caller's own draws stay as they are
            self.network = QNetwork(settings.hidden).to(device)
        import_compiler()
        swa = torch.optim.swa_utils
        average = swa.get_ema_multi_avg_fn(1 - settings.tau)  # type: ignore[no-untyped-call]
        self.target = swa.AveragedModel(self.network, multi_avg_fn=average)
        self.target.update_parameters(self.network)  # the first update copies
        self.best = copy.deepcopy(self.network).cpu()  # of all validations
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=settings.learning_rate, fused=True
        )
        self.replay_buffer: deque[Transitions] = deque(maxlen=settings.buffer_size)  # rounds
        self.rng = np.random.default_rng(settings.seed)
        self.rollout: Rollout | None = None  # the game that is played
        self.step, self.elapsed_s = 0, 0.0
        self.losses: list[float] = []  # since the last row of the curve
        self.rewards: list[float] = []  # of rounds since then
        self.curve: list[CurveRow] = []  # the validations so far
        self.stages: list[TrainStage] = []  # earlier parts, before it was resumed

    @property
    def target_network(self) -> QNetwork:
        """The network that follows the one that learns."""
        return cast("QNetwork", self.target.module)

    @property
    def progress(self) -> float:
        """How much of the training is over, by steps or time, in [0, 1]."""
        minutes = self.settings.minutes
        timed = self.elapsed_s / (60 * minutes) if minutes else 0.0
        return min(max(self.step / self.settings.steps, timed), 1.0)

    def add(self, row: CurveRow) -> None:
        """A row of the curve; the target network is the best if its mean gap is the smallest."""
        if all(row.gap_mean < other.gap_mean for other in self.curve):
            self.best.load_state_dict(self.target_network.state_dict())
        self.curve.append(row)
        self.losses, self.rewards = [], []


def save(state: TrainState, folder: Path) -> None:
    """Write the checkpoint."""
    tensors = _network_tensors(state)
    for number, moments in state.optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{name}": value for name, value in moments.items()}
    if state.replay_buffer:
        joined = concatenate(state.replay_buffer)
        columns = zip(Transitions._fields, joined, strict=True)
        tensors |= {f"replay.{name}": torch.from_numpy(column) for name, column in columns}
        tensors["replay.n_agents"] = torch.tensor([len(r.reward) for r in state.replay_buffer])
    header = CheckpointHeader(
        format="dtkd-opt/dqn-checkpoint/2",
        features=FEATURES_VERSION,
        settings=state.settings,
        step=state.step,
        elapsed_s=state.elapsed_s,
        curve=state.curve,
        stages=state.stages,
    )
    data = safetensors.torch.save(tensors, {"training": header.model_dump_json()})
    write_atomic(folder / DQN_CHECKPOINT, data)


def load(state: TrainState, folder: Path) -> None:
    """Go on at a checkpoint's step, with this training's `steps` and `minutes`.

    InputError where it is missing or damaged; UsageError where it was trained with other settings,
    or is already beyond the new `steps` or `minutes`.
    """
    path = folder / DQN_CHECKPOINT
    tensors = read_tensors(path)
    header = _read_header(path)
    old, new = header.settings, state.settings
    _check_settings(old, new, path)
    _load_replay_buffer(state, tensors, path)
    _load_networks(state, tensors, path)
    state.rng = np.random.default_rng([new.seed, header.step])
    state.step, state.elapsed_s = header.step, header.elapsed_s
    state.curve, state.stages = list(header.curve), list(header.stages)
    if state.progress < 1:
        state.stages.append(TrainStage(steps=old.steps, minutes=old.minutes, until=header.step))
    elif (old.steps, old.minutes) != (new.steps, new.minutes):
        at = f"step {header.step}, after {header.elapsed_s / 60:.2g} minutes"
        raise UsageError(f"{path} is at {at}; resume with more steps or minutes than that")


def _network_tensors(state: TrainState) -> _Tensors:
    networks = {"network": state.network, "target": state.target_network, "best": state.best}
    return {
        f"{name}.{key}": value
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }


def _read_header(path: Path) -> CheckpointHeader:
    with safetensors.safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get("training")
    if text is None:
        raise InputError(str(path), ["is no checkpoint of train-dqn"])
    header = validate(CheckpointHeader, parse_json(text.encode(), str(path)), str(path))
    if header.features != FEATURES_VERSION:
        fault = f"must be {FEATURES_VERSION}, got {header.features}; train anew in another folder"
        raise InputError(str(path), [f"features: {fault}"])
    return header


def _check_settings(old: DQNTrainSettings, new: DQNTrainSettings, path: Path) -> None:
    before, now = old.model_dump(mode="json"), new.model_dump(mode="json")
    changed = [key for key in now if key not in _MAY_CHANGE and before[key] != now[key]]
    if changed:
        words = ", ".join(f"{key} {before[key]}, not {now[key]}" for key in changed)
        raise UsageError(f"{path} was trained with {words}; resume with the same settings")


def _load_networks(state: TrainState, tensors: _Tensors, path: Path) -> None:
    """Networks and optimizer from tensors that fit them."""
    own, moments = _network_tensors(state), dict[int, _Tensors]()
    if any(name.startswith("adam.") for name in tensors):  # not before the first update
        for n, p in enumerate(state.network.parameters()):
            moments[n] = {"step": torch.zeros(()), "exp_avg": p, "exp_avg_sq": p}
    adam = {f"adam.{n}.{key}": value for n, m in moments.items() for key, value in m.items()}
    check_tensors(tensors, own | adam, path, _MAX_FLOAT)
    for name, value in own.items():
        value.copy_(tensors[name])
    moments = {n: {key: tensors[f"adam.{n}.{key}"] for key in m} for n, m in moments.items()}
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": moments, "param_groups": groups})


def _load_replay_buffer(state: TrainState, tensors: _Tensors, path: Path) -> None:
    """The replay buffer from its tensors, which are removed from the others."""
    names = [name for name in tensors if name.startswith("replay.")]
    columns = {name.removeprefix("replay."): tensors.pop(name).numpy() for name in names}
    if not columns:  # before the first round
        return
    if columns.keys() == {*Transitions._fields, "n_agents"}:
        n_agents = columns.pop("n_agents")
        joined = Transitions(**columns)
        if is_sound(joined, n_agents):
            state.replay_buffer.extend(split(joined, n_agents))
            return
    raise InputError(str(path), ["replay: must hold transitions as train-dqn writes them"])

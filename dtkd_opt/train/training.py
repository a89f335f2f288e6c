"""The state of a training of `dqn` and its checkpoint, one safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, Strict, TypeAdapter, ValidationError

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.fields import Count, Fraction, Positive, Record
from dtkd_opt.files import read_bytes, write_atomic
from dtkd_opt.methods.dqn import QNetwork, safetensors, torch
from dtkd_opt.methods.game import VERSION

CHECKPOINT = "checkpoint.safetensors"
_FREE = ("steps", "minutes")  # settings that may change when a training is resumed


class TrainDqnParams(Record):
    """Settings of the training; it ends after `steps` or, if given, `minutes` in all."""

    seed: Annotated[int, Strict(), Field(ge=0, lt=2**31)] = 0
    steps: Count = 20_000
    minutes: Positive | None = None
    users: Annotated[int, Strict(), Field(ge=10, le=10_000)] = 200  # of the largest instance
    rounds: Count = 40  # of a game
    hidden: Annotated[int, Strict(), Field(ge=1, le=4096)] = 32
    learning_rate: Positive = 5e-4  # falls to nothing as the training goes on
    discount: Fraction = 0.3
    memory: Count = 4000  # rounds
    batch: Count = 64  # rounds of an update
    shares: tuple[Fraction, Fraction] = (0.02, 0.15)  # of the users that move in a round
    warm_up: Count = 200  # rounds before the first update
    follow: Fraction = 0.002  # how far the slow copy follows in a step
    exploration: Fraction = 1.0  # probability that a move is not the greedy one
    report_every: Count = 1000  # steps between validations, each with a checkpoint
    validation: Count = 16  # instances that networks are compared on


class CurveRow(Record):
    """One point of the learning curve; loss and reward are means since the last one."""

    step: int
    seconds: float
    loss: float  # Huber loss of the updates
    reward: float  # of a user in a round, exploring
    gap_median: float  # over the validation instances, without exploring
    gap_mean: float
    gap_max: float


class Training:
    """What changes in a training: networks, optimizer, randomness, time and the curve."""

    def __init__(self, params: TrainDqnParams, device: str = "cpu"):
        torch.manual_seed(params.seed)
        self.params, self.device = params, device
        self.online = QNetwork(params.hidden).to(device)
        self.slow = QNetwork(params.hidden).to(device)
        self.best = QNetwork(params.hidden)  # of all validations
        self.slow.load_state_dict(self.online.state_dict())
        self.adam = torch.optim.Adam(self.online.parameters(), lr=params.learning_rate, fused=True)
        self.rng = np.random.default_rng(params.seed)
        self.step, self.seconds = 0, 0.0
        self.curve: list[CurveRow] = []

    @property
    def done(self) -> float:
        """How much of the training is over, by steps or time, in [0, 1]."""
        minutes = self.params.minutes
        timed = self.seconds / (60 * minutes) if minutes else 0.0
        return min(max(self.step / self.params.steps, timed), 1.0)

    def add(self, row: CurveRow) -> None:
        """A point of the curve; the network is the best if its mean gap is the least so far."""
        if all(row.gap_mean < other.gap_mean for other in self.curve):
            self.best.load_state_dict(self.slow.state_dict())
        self.curve.append(row)

    @torch.no_grad()
    def follow(self) -> None:
        """Move the slow copy a little towards the network that learns."""
        for slow, fast in zip(self.slow.parameters(), self.online.parameters(), strict=True):
            slow.lerp_(fast, self.params.follow)

    def save(self, folder: Path) -> None:
        """Write the checkpoint."""
        tensors = {
            f"{name}.{key}": value
            for name, network in self._networks().items()
            for key, value in network.state_dict().items()
        }
        for number, moments in self.adam.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{key}": value for key, value in moments.items()}
        state = {
            "features": VERSION,
            "params": self.params.model_dump(mode="json"),
            "step": self.step,
            "seconds": self.seconds,
            "rng": self.rng.bit_generator.state,
            "curve": [row.model_dump() for row in self.curve],
        }
        data = safetensors.torch.save(tensors, {"training": json.dumps(state)})
        write_atomic(folder / CHECKPOINT, data)

    def load(self, folder: Path) -> None:
        """Go on where a checkpoint was written, with this training's `steps` and `minutes`.

        Raises
        ------
        InputError
            When there is no checkpoint, or it is damaged.
        UsageError
            When it was trained with other settings.
        """
        path = folder / CHECKPOINT
        data = read_bytes(path)
        try:
            state = json.loads(_metadata(data)["training"])
            tensors = safetensors.torch.load(data)
            self._check(state, path)
            self._fill(tensors)
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.curve = TypeAdapter(list[CurveRow]).validate_python(state["curve"])
            self.rng.bit_generator.state = state["rng"]
        except (safetensors.SafetensorError, ValidationError, ValueError, LookupError,
                TypeError, RuntimeError) as error:  # fmt: skip
            words = str(error).splitlines()[0]
            raise InputError(str(path), [f"is no checkpoint of train-dqn: {words}"]) from None

    def _check(self, state: Any, path: Path) -> None:
        old, new = state["params"], self.params.model_dump(mode="json")
        other = [key for key in new if key not in _FREE and old[key] != new[key]]
        if state["features"] != VERSION:
            raise InputError(str(path), [f"features: must be {VERSION}, got {state['features']}"])
        if other:
            said = ", ".join(f"{key} {old[key]}, not {new[key]}" for key in other)
            raise UsageError(f"{path} was trained with {said}; resume with the same settings")

    def _fill(self, tensors: dict[str, torch.Tensor]) -> None:
        for name, network in self._networks().items():
            network.load_state_dict(_under(tensors, name))
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in _under(tensors, "adam").items():
            number, name = key.split(".", 1)
            moments.setdefault(int(number), {})[name] = value
        groups = self.adam.state_dict()["param_groups"]
        self.adam.load_state_dict({"state": moments, "param_groups": groups})

    def _networks(self) -> dict[str, QNetwork]:
        return {"online": self.online, "slow": self.slow, "best": self.best}


def _under(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    start = f"{name}."
    return {key.removeprefix(start): v for key, v in tensors.items() if key.startswith(start)}


def _metadata(data: bytes) -> Any:
    """The texts in a safetensors file's header: eight bytes of length, then JSON."""
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size])["__metadata__"]

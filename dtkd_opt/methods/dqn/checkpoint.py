"""The checkpoint of a training of `dqn`, one safetensors file.

It holds all that changes, memory and game included, so that a training that was stopped goes on as
if it had not been. What is no tensor lies as JSON in the file's header.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, Strict

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.methods.dqn.game import VERSION, begin_with
from dtkd_opt.methods.dqn.instance_sampler import TRAINING_SEED, draw_table
from dtkd_opt.methods.dqn.method import check_tensors, read_tensors, safetensors, torch
from dtkd_opt.methods.dqn.replay_buffer import Game, Transitions, is_sound, join, split
from dtkd_opt.methods.dqn.training import CurveRow, Stage, TrainDqnParams, Training
from dtkd_opt.records.fields import Fraction, Name, NonNegative, Record
from dtkd_opt.records.files import parse_json, read_bytes, validate, write_atomic

CHECKPOINT = "checkpoint.safetensors"
_FREE = ("steps", "minutes")  # settings that may change when a training is resumed
_MOST = float(np.finfo(np.float32).max)

_Whole = Annotated[int, Strict(), Field(ge=0)]
_Tensors = dict[str, torch.Tensor]


class KeptGame(Record):
    """The game that is being played; its choice and the prices' rise are tensors."""

    seed: Annotated[int, Strict(), Field(ge=TRAINING_SEED, lt=2**31)]
    share: Fraction
    played: _Whole


class Kept(Record):
    """What a checkpoint holds beside tensors."""

    format: Literal["dtkd-opt/dqn-checkpoint/1"]
    features: Annotated[int, Strict()]
    params: TrainDqnParams
    step: _Whole
    seconds: NonNegative
    rng: dict[Name, Any]
    users: list[_Whole]  # of each round in the memory
    losses: list[float]
    rewards: list[float]
    curve: list[CurveRow]
    stages: list[Stage]
    game: KeptGame | None


def save(training: Training, folder: Path) -> None:
    """Write the checkpoint."""
    tensors, game = dict(_own(training)), training.game
    if training.memory:
        joined = join(training.memory)
        tensors |= {
            f"memory.{f.name}": torch.from_numpy(getattr(joined, f.name)) for f in fields(joined)
        }
    if game is not None:
        tensors["game.choice"] = torch.from_numpy(game.state.choice)
        tensors["game.rise"] = torch.from_numpy(game.state.rise)
    data = safetensors.torch.save(tensors, {"training": _kept(training).model_dump_json()})
    write_atomic(folder / CHECKPOINT, data)


def _kept(training: Training) -> Kept:
    game = training.game
    return Kept(
        format="dtkd-opt/dqn-checkpoint/1",
        features=VERSION,
        params=training.params,
        step=training.step,
        seconds=training.seconds,
        rng=dict(training.rng.bit_generator.state),
        users=[len(seen.reward) for seen in training.memory],
        losses=training.losses,
        rewards=training.rewards,
        curve=training.curve,
        stages=training.stages,
        game=game and KeptGame(seed=game.seed, share=game.share, played=game.played),
    )


def load(training: Training, folder: Path) -> None:
    """Go on where a checkpoint was written, with this training's `steps` and `minutes`.

    Raises
    ------
    InputError
        When there is no checkpoint, or it is damaged.
    UsageError
        When it was trained with other settings, or is beyond another end that is asked for.
    """
    path = folder / CHECKPOINT
    tensors = read_tensors(path)
    kept = _read_kept(path)
    _compare(kept.params, training.params, path)
    _fill(training, tensors, path)
    training.memory.extend(_memory(kept, tensors, path))
    training.game = _game(kept, tensors, path)
    try:
        training.rng.bit_generator.state = kept.rng
    except (ValueError, TypeError, LookupError, OverflowError):
        raise InputError(str(path), ["rng: must be a state of PCG64"]) from None
    training.step, training.seconds = kept.step, kept.seconds
    training.losses, training.rewards = list(kept.losses), list(kept.rewards)
    training.curve, training.stages = list(kept.curve), list(kept.stages)
    old, new = kept.params, training.params
    if (old.steps, old.minutes) != (new.steps, new.minutes):
        if training.done >= 1:
            at = f"step {kept.step}, after {kept.seconds / 60:.2g} minutes"
            raise UsageError(f"{path} is at {at}; resume with more steps or minutes than that")
        stage = Stage(steps=old.steps, minutes=old.minutes, until=kept.step)
        training.stages.append(stage)


def _read_kept(path: Path) -> Kept:
    """The record in the header of a safetensors file: eight bytes of length, then JSON."""
    data = read_bytes(path)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    text = header.get("__metadata__", {}).get("training")
    if text is None:
        raise InputError(str(path), ["is no checkpoint of train-dqn"])
    kept = validate(Kept, parse_json(text.encode(), str(path)), str(path))
    if kept.features != VERSION:
        fault = f"features: must be {VERSION}, got {kept.features}; train anew in another folder"
        raise InputError(str(path), [fault])
    return kept


def _compare(old: TrainDqnParams, new: TrainDqnParams, path: Path) -> None:
    before, now = old.model_dump(mode="json"), new.model_dump(mode="json")
    other = [key for key in now if key not in _FREE and before[key] != now[key]]
    if other:
        said = ", ".join(f"{key} {before[key]}, not {now[key]}" for key in other)
        raise UsageError(f"{path} was trained with {said}; resume with the same settings")


def _own(training: Training) -> Iterable[tuple[str, torch.Tensor]]:
    """The tensors of the networks and, after the first update, of the optimizer."""
    for name, network in training.networks.items():
        for key, value in network.state_dict().items():
            yield f"{name}.{key}", value
    for number, moments in training.adam.state_dict()["state"].items():
        for key, value in moments.items():
            yield f"adam.{number}.{key}", value


def _fill(training: Training, tensors: _Tensors, path: Path) -> None:
    """Networks and optimizer from tensors that fit them."""
    for name, network in training.networks.items():
        weights = _under(tensors, name)
        check_tensors(weights, network.state_dict(), path)
        network.load_state_dict(weights)
    given = _under(tensors, "adam")
    if not given:  # before the first update
        return
    moments: dict[int, _Tensors] = {}
    for number, parameter in enumerate(training.online.parameters()):
        like = {"step": torch.zeros(()), "exp_avg": parameter, "exp_avg_sq": parameter}
        moments[number] = _under(given, str(number))
        check_tensors(moments[number], like, path, most=_MOST)
    groups = training.adam.state_dict()["param_groups"]
    training.adam.load_state_dict({"state": moments, "param_groups": groups})


def _memory(kept: Kept, tensors: _Tensors, path: Path) -> list[Transitions]:
    given = {key: value.numpy() for key, value in _under(tensors, "memory").items()}
    if not kept.users and not given:
        return []
    if given.keys() == {f.name for f in fields(Transitions)}:
        joined = Transitions(**given)
        if is_sound(joined, kept.users):
            return split(joined, kept.users)
    raise InputError(str(path), ["memory: must hold rounds as train-dqn writes them"])


def _game(kept: Kept, tensors: _Tensors, path: Path) -> Game | None:
    """The game where it stood: its prices are those of its choice."""
    game = kept.game
    if game is None:
        return None
    table = draw_table(game.seed, kept.params.users)
    given = _under(tensors, "game")
    like = {"choice": torch.from_numpy(table.start[1:]), "rise": torch.from_numpy(table.capacity)}
    check_tensors(given, like, path)
    choice, rise = given["choice"].numpy(), given["rise"].numpy()
    owned = (choice >= table.start[:-1]) & (choice < table.start[1:])
    state = begin_with(table, [choice]) if owned.all() else None
    if state is None:
        raise InputError(str(path), ["game: must be a choice that the game's instance has"])
    return Game(game.seed, replace(state, rise=rise), game.share, game.played)


def _under(tensors: _Tensors, name: str) -> _Tensors:
    start = f"{name}."
    return {key.removeprefix(start): v for key, v in tensors.items() if key.startswith(start)}

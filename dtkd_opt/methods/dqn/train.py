"""The trainer of `dqn`: double Q-learning on generated instances, in one loop.

Each step is one round of a game and one update. Rounds go to a memory of the last ones; an update
takes some of them at random, each with some of its users, and lowers the Huber loss between
Q(features of the option taken) and the target of van Hasselt, Guez and Silver ("Deep reinforcement
learning with double Q-learning", AAAI 2016): the network chooses the next option, a slow copy
of it values that option (:func:`targets`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from pydantic import ValidationError

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.methods.dqn.checkpoint import CHECKPOINT, load, save
from dtkd_opt.methods.dqn.game import VERSION
from dtkd_opt.methods.dqn.instance_sampler import TRAINING_SEED, Validation, draw_table, first_state
from dtkd_opt.methods.dqn.learning_curve import write_curve
from dtkd_opt.methods.dqn.method import LARGEST, NetworkCard, QNetwork, torch, write_network
from dtkd_opt.methods.dqn.replay_buffer import Game, Transitions, join
from dtkd_opt.methods.dqn.training import CurveRow, TrainDqnParams, Training
from dtkd_opt.pricing.equal_shares import best_rows
from dtkd_opt.records.files import fault_lines
from dtkd_opt.records.version import __version__
from dtkd_opt.runtime.interrupts import KeepOnCtrlC
from dtkd_opt.runtime.threads import one_thread

OPTIONS = ("seed", "steps", "minutes", "users")  # settings that the command line has
Callback = Callable[[Training], None]


def train_dqn(
    output: Path | str,
    params: TrainDqnParams | None = None,
    *,
    resume: bool = False,
    device: str = "cpu",
    callback: Callback | None = None,
) -> Training:
    """Train a network for `dqn` and write it, its checkpoint and its learning curve.

    Parameters
    ----------
    output
        Folder for ``dqn.json`` and ``dqn.safetensors`` (the network with the least mean gap of
        all validations: what ``DqnParams.network`` takes), the checkpoint and the curve. Made if
        missing.
    params
        Settings; with the same ones and no `minutes` the same network comes out.
    resume
        Go on from the folder's checkpoint. With the same settings the same network comes out, on
        the same device, as of a training that was never stopped.
    device
        Where torch computes: "cpu", "cuda". The games are always played on the CPU.
    callback
        Called now and then with the training as it stands.

    Returns
    -------
    Training
        Its curve and networks; of a training that Ctrl-C stopped, those up to then.

    Raises
    ------
    InputError, UsageError
        When the folder or the device cannot be used, or the settings let weights grow without end;
        see also :func:`dtkd_opt.methods.dqn.checkpoint.load`.
    """
    folder = Path(output)
    training = Training(params or TrainDqnParams(), _checked(device))
    _prepare(folder, resume)
    if resume:
        load(training, folder)
    save(training, folder)  # a folder that takes no files is found out now, not after hours
    with KeepOnCtrlC(at_once=False) as ctrl_c, one_thread():
        _train(training, folder, callback, ctrl_c)
        _write(training, folder)
    return training


def params_of(given: dict[str, Any]) -> TrainDqnParams:
    """Settings of the training from some values; UsageError where one means nothing."""
    try:
        return TrainDqnParams(**given)
    except ValidationError as error:
        raise UsageError("; ".join(fault_lines(error))) from None


def _checked(device: str) -> str:
    if device != "cpu" and not (device == "cuda" and torch.cuda.is_available()):
        raise UsageError(f'device "{device}" is not to be had here; use "cpu"')
    return device


def _prepare(folder: Path, resume: bool) -> None:
    if resume:
        return  # a folder that is not there holds no checkpoint, which is said when it is read
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # the latter of a null byte
        words = getattr(error, "strerror", None) or error
        raise InputError(str(folder), [f"cannot be made: {words}"]) from None
    if (folder / CHECKPOINT).exists():
        raise UsageError(f"{folder} holds a checkpoint: resume it, or choose another folder")


def _train(
    training: Training, folder: Path, callback: Callback | None, ctrl_c: KeepOnCtrlC
) -> None:
    """The loop: a round of a game, an update, and now and then a report."""
    params = training.params
    validation = Validation(params.validation, params.users)
    started = monotonic() - training.seconds
    while training.done < 1 and not ctrl_c.pressed:
        training.memory.append(next_round(training))
        training.rewards.append(float(training.memory[-1].reward.mean()))
        if len(training.memory) >= min(params.warm_up, params.memory):
            chosen = training.rng.integers(len(training.memory), size=params.batch)
            batch = join([training.memory[i] for i in chosen])
            training.losses.append(learn(training, batch))
        training.step += 1
        training.seconds = monotonic() - started
        if training.step % params.report_every == 0 or training.done >= 1:
            training.add(_row(training, validation))
            training.seconds = monotonic() - started
            _write(training, folder)
        if callback is not None and training.step % 100 == 0:
            callback(training)


def _write(training: Training, folder: Path) -> None:
    """The network and the curve, and last the checkpoint that stands for all of it."""
    if training.curve:
        write_network(training.best, _card(training), folder / "dqn.json")
        write_curve(training.curve, folder)
    save(training, folder)


def _card(training: Training) -> NetworkCard:
    params = training.params
    stages = [stage.model_dump(mode="json") for stage in training.stages]
    return NetworkCard(
        format="dtkd-opt/dqn/1",
        features=VERSION,
        hidden=params.hidden,
        command=_command(params, resumed=bool(stages)),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        versions={"dtkd-opt": __version__, "torch": torch.__version__, "numpy": np.__version__},
        training={**params.model_dump(mode="json"), **({"stages": stages} if stages else {})},
    )


def _command(params: TrainDqnParams, resumed: bool) -> str:
    """The command that trains with these settings; Python where the command line has not all."""
    always = {"seed": params.seed, "steps": params.steps}
    given = always | params.model_dump(exclude_defaults=True)
    if given.keys() <= set(OPTIONS):
        words = " ".join(f"--{key} {value}" for key, value in given.items())
        return f"dtkd-opt train-dqn {words}{' --resume' if resumed else ''} --output DIR"
    words = ", ".join(f"{key}={value!r}" for key, value in given.items())
    last = ", resume=True" if resumed else ""
    return f"dtkd_opt.train_dqn(DIR, dtkd_opt.TrainDqnParams({words}){last})"


def _row(training: Training, validation: Validation) -> CurveRow:
    gap = validation.gaps(training.slow)
    return CurveRow(
        step=training.step,
        seconds=training.seconds,
        loss=float(np.mean(training.losses)) if training.losses else 0.0,
        reward=float(np.mean(training.rewards)),
        gap_median=float(np.median(gap)),
        gap_mean=float(np.mean(gap)),
        gap_max=float(np.max(gap)),
    )


def next_round(training: Training) -> Transitions:
    """The next round of the game, or the first of a new one on a new instance."""
    rng, params = training.rng, training.params
    while training.game is None or training.game.played >= params.rounds:
        seed = int(rng.integers(TRAINING_SEED, 2**31))
        state = first_state(draw_table(seed, params.users), rng)
        if state is not None:
            training.game = Game(seed, state, float(rng.uniform(*params.shares)))
    return training.game.play(training.online.values, params.exploration, rng)


def targets(online: QNetwork, slow: QNetwork, batch: Transitions, discount: float) -> torch.Tensor:
    """(M,) what Q of the options taken should be.

    A user moves in the next round with probability `share`, else it keeps what it has. With Q' of
    the slow copy, the discount γ and the next features s',

        y = (1 - γ) r + γ (share · Q'(s', argmax_k Q(s', k)) + (1 - share) · Q'(s', current)),

    so that Q is a mean of rewards. A game's last round is no end for its users (Pardo et al., "Time
    limits in reinforcement learning", 2018).
    """
    best = best_rows(online.values(batch.following), batch.start)
    moved = slow.values(batch.following[best])
    stayed = slow.values(batch.following[batch.current])
    later = batch.share * moved + (1 - batch.share) * stayed
    return torch.from_numpy(batch.reward + np.float32(discount) * (later - batch.reward))


def learn(training: Training, batch: Transitions) -> float:
    """One step of Adam on the Huber loss of a batch; returns the loss.

    UsageError where the weights grow beyond what a network may have.
    """
    params, device = training.params, training.device
    wanted = targets(training.online, training.slow, batch, params.discount).to(device)
    value = training.online(torch.from_numpy(batch.taken).to(device))
    loss = torch.nn.functional.smooth_l1_loss(value, wanted)
    for group in training.adam.param_groups:
        group["lr"] = params.learning_rate * max(1 - training.done, 1e-3)
    training.adam.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    training.adam.step()
    if not all(bool((p.abs() <= LARGEST).all()) for p in training.online.parameters()):
        rate = f"learning_rate must be less than {params.learning_rate:g}"
        raise UsageError(f"weights grew without end by step {training.step}: {rate}")
    training.follow()
    return float(loss.detach())

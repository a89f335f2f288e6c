"""The trainer of `dqn`: double Q-learning on generated instances, in one loop.

Each step is one round of a game and one update. Rounds go to a memory of the last ones; an update
takes some of them at random, each with some of its users, and lowers the Huber loss between
Q(features of the option taken) and the target of van Hasselt, Guez and Silver ("Deep reinforcement
learning with double Q-learning", AAAI 2016): the network chooses the next option, a slow copy
of it values that option (:func:`targets`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from pydantic import ValidationError

from dtkd_opt import __version__
from dtkd_opt.equal import best_rows
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.files import fault_lines
from dtkd_opt.methods.dqn import NetworkCard, QNetwork, torch, write_network
from dtkd_opt.methods.game import VERSION
from dtkd_opt.threads import one_thread
from dtkd_opt.train.curve import write_curve
from dtkd_opt.train.experience import Transitions, explore, join
from dtkd_opt.train.lessons import TRAINING_SEED, Validation, draw_table, first_state
from dtkd_opt.train.training import CHECKPOINT, CurveRow, TrainDqnParams, Training

Watch = Callable[[Training], None]


def train_dqn(
    output: Path | str,
    params: TrainDqnParams | None = None,
    *,
    resume: bool = False,
    device: str = "cpu",
    watch: Watch | None = None,
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
        Go on from the folder's checkpoint: same curve, with new games and an empty memory.
    device
        Where torch computes: "cpu", "cuda".
    watch
        Called now and then with the training as it stands.

    Returns
    -------
    Training
        Its curve and networks; of a training that Ctrl-C stopped, those up to then.

    Raises
    ------
    InputError, UsageError
        When the folder or the device cannot be used; see also :meth:`Training.load`.
    """
    folder = Path(output)
    training = Training(params or TrainDqnParams(), _checked(device))
    _prepare(folder, resume)
    if resume:
        training.load(folder)
    with suppress(KeyboardInterrupt), one_thread():
        _train(training, folder, watch)
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
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(folder), [f"cannot be made: {error.strerror or error}"]) from None
    if (folder / CHECKPOINT).exists() and not resume:
        raise UsageError(f"{folder} holds a checkpoint: resume it, or choose another folder")


def _train(training: Training, folder: Path, watch: Watch | None) -> None:
    """The loop: a round of a game, an update, and now and then the slow copy and a report."""
    params = training.params
    validation = Validation(params.validation, params.users)
    memory: deque[Transitions] = deque(maxlen=params.memory)
    rounds, losses, rewards = games(training), [], []
    started = monotonic() - training.seconds
    while training.done < 1:
        memory.append(next(rounds))
        rewards.append(float(memory[-1].reward.mean()))
        if len(memory) >= min(params.warm_up, params.memory):
            chosen = training.rng.integers(len(memory), size=params.batch)
            losses.append(learn(training, join([memory[i] for i in chosen])))
        training.step += 1
        training.seconds = monotonic() - started
        if training.step % params.report_every == 0 or training.done >= 1:
            training.add(_row(training, losses, rewards, validation))
            training.seconds = monotonic() - started
            losses, rewards = [], []
            _write(training, folder)
        if watch is not None and training.step % 100 == 0:
            watch(training)


def _write(training: Training, folder: Path) -> None:
    """The network and the curve, and last the checkpoint that stands for all of it."""
    if training.curve:
        write_network(training.best, _card(training.params), folder / "dqn.json")
        write_curve(training.curve, folder)
    training.save(folder)


def _card(params: TrainDqnParams) -> NetworkCard:
    changed = params.model_dump(exclude_defaults=True, exclude={"seed", "steps"})
    words = [f"--seed {params.seed} --steps {params.steps}"]
    words += [f"--{key.replace('_', '-')} {value}" for key, value in changed.items()]
    return NetworkCard(
        format="dtkd-opt/dqn/1",
        features=VERSION,
        hidden=params.hidden,
        command=f"dtkd-opt train-dqn {' '.join(words)} --output DIR",
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        versions={"dtkd-opt": __version__, "torch": torch.__version__, "numpy": np.__version__},
        training=params.model_dump(mode="json"),
    )


def _row(
    training: Training, losses: list[float], rewards: list[float], validation: Validation
) -> CurveRow:
    gap = validation.gaps(training.slow)
    return CurveRow(
        step=training.step,
        seconds=training.seconds,
        loss=float(np.mean(losses)) if losses else 0.0,
        reward=float(np.mean(rewards)),
        gap_median=float(np.median(gap)),
        gap_mean=float(np.mean(gap)),
        gap_max=float(np.max(gap)),
    )


def games(training: Training) -> Iterator[Transitions]:
    """The rounds of one game after the other, each on a new instance, without end."""
    rng, params = training.rng, training.params
    while True:
        table = draw_table(int(rng.integers(TRAINING_SEED, 2**31)), params.users)
        state = first_state(table, rng)
        if state is None:
            continue
        play = explore(
            state,
            float(rng.uniform(*params.shares)),
            training.online.values,
            params.exploration,
            rng,
        )
        yield from islice(play, params.rounds)


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
    """One step of Adam on the Huber loss of a batch; returns the loss."""
    params, device = training.params, training.device
    wanted = targets(training.online, training.slow, batch, params.discount).to(device)
    value = training.online(torch.from_numpy(batch.taken).to(device))
    loss = torch.nn.functional.smooth_l1_loss(value, wanted)
    for group in training.adam.param_groups:
        group["lr"] = params.learning_rate * max(1 - training.done, 1e-3)
    training.adam.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    training.adam.step()
    training.follow()
    return float(loss.detach())

"""The training of `dqn`: double Q-learning on generated instances, in one loop.

Each step is one round of a game and one update. Rounds go to a replay buffer; an update takes some
of them at random and lowers the Huber loss between Q(features of the chosen options) and the target
of van Hasselt, Guez and Silver ("Deep reinforcement learning with double Q-learning", AAAI 2016):
the network chooses the next option, a target network, which follows it slowly, values that option
(:func:`td_targets`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import numpy as np

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.methods.dqn.checkpoint import TrainState, load, save
from dtkd_opt.methods.dqn.game import FEATURES_VERSION
from dtkd_opt.methods.dqn.instance_sampler import (
    TRAINING_SEED,
    Validation,
    initial_state,
    sample_options,
)
from dtkd_opt.methods.dqn.learning_curve import CurveRow, write_curve
from dtkd_opt.methods.dqn.network import MAX_WEIGHT, NetworkCard, QNetwork, torch, write_network
from dtkd_opt.methods.dqn.replay_buffer import Transitions, concatenate
from dtkd_opt.methods.dqn.rollout import Rollout
from dtkd_opt.methods.dqn.settings import DQNTrainSettings
from dtkd_opt.pricing.equal_shares import argmax_by_user
from dtkd_opt.records.arguments import as_callback, as_flag, as_path, as_record
from dtkd_opt.records.result_files import DQN_CHECKPOINT
from dtkd_opt.records.version import __version__
from dtkd_opt.runtime.interrupts import KeepOnCtrlC
from dtkd_opt.runtime.threads import one_thread

CLI_SETTINGS = ("seed", "steps", "minutes", "users")  # that the command line has
TrainCallback = Callable[[TrainState], None]


def train_dqn(
    output: Path | str,
    settings: DQNTrainSettings | None = None,
    *,
    resume: bool = False,
    device: str = "cpu",
    callback: TrainCallback | None = None,
) -> TrainState:
    """Train a network for `dqn` and write it, its checkpoint and its learning curve.

    Parameters
    ----------
    output
        Folder, made if missing: for ``dqn.json`` and ``dqn.safetensors`` (the network with the
        smallest mean gap of all validations, for ``DQN.network``), the checkpoint and the curve.
    settings
        With the same ones, no `minutes` and no interruption the same network comes out.
    resume
        Go on from the folder's checkpoint: with its networks, optimizer and replay buffer at its
        step, in a new game.
    device
        Where torch computes: "cpu", "cuda". The games are always played on the CPU.
    callback
        Called every 100 steps with the training as it stands.

    Returns
    -------
    TrainState
        Its curve and networks; of a training that Ctrl-C stopped, those up to then.

    Raises
    ------
    InputError, UsageError
        Folder, checkpoint or device cannot be used, or weights grow beyond all bounds.
    """
    folder = as_path(output, "output")
    as_flag(resume, "resume")
    as_callback(callback, "a TrainState")
    state = TrainState(as_record(DQNTrainSettings, settings, "settings"), device)
    if resume:
        load(state, folder)
    else:
        _create_folder(folder)
    save(state, folder)  # fails at once where the folder cannot be written
    with KeepOnCtrlC(at_once=False) as ctrl_c, one_thread():
        _train(state, folder, callback, ctrl_c)
        _write(state, folder)
    return state


def _train(
    state: TrainState, folder: Path, callback: TrainCallback | None, ctrl_c: KeepOnCtrlC
) -> None:
    """The loop: a round of a game, an update, and now and then a validation."""
    settings, buffer = state.settings, state.replay_buffer
    validation = Validation(settings.validation_instances, settings.users)
    started = monotonic() - state.elapsed_s
    while state.progress < 1 and not ctrl_c.pressed:
        buffer.append(play_round(state))
        state.rewards.append(float(buffer[-1].reward.mean()))
        if len(buffer) >= min(settings.learning_starts, settings.buffer_size):
            sampled = state.rng.integers(len(buffer), size=settings.batch_size)
            state.losses.append(update(state, concatenate([buffer[i] for i in sampled])))
        state.step += 1
        state.elapsed_s = monotonic() - started
        if state.step % settings.validation_every == 0 or state.progress >= 1:
            state.add(_validate(state, validation))
            state.elapsed_s = monotonic() - started
            _write(state, folder)
        if callback is not None and state.step % 100 == 0:
            callback(state)


def play_round(state: TrainState) -> Transitions:
    """The next round of the game, or the first of a new one on a new instance."""
    rng, settings = state.rng, state.settings
    while state.rollout is None or state.rollout.rounds >= settings.rounds:
        seed = int(rng.integers(TRAINING_SEED, 2**31))
        start = initial_state(sample_options(seed, settings.users), rng)
        if start is not None:
            state.rollout = Rollout(start, float(rng.uniform(*settings.active_fraction)))
    return state.rollout.step(state.network.q_values, settings.epsilon, rng)


def td_targets(
    network: QNetwork, target_network: QNetwork, batch: Transitions, discount: float
) -> torch.Tensor:
    """(M,) what Q of the chosen options should be.

    A user is active in the next round with probability p, else it keeps its current option. With Q'
    of the target network, the discount γ and the next features s',

        y = (1 - γ) r + γ (p · Q'(s', argmax_k Q(s', k)) + (1 - p) · Q'(s', current)),

    so that Q is a mean of rewards. A game's last round is no end for its users (Pardo et al., "Time
    limits in reinforcement learning", 2018).
    """
    start, active = batch.start, batch.active_fraction  # (M + 1,), (M,)
    best = argmax_by_user(network.q_values(batch.next_features), start)  # (M,) of the K rows
    current = start[:-1] + batch.next_current  # (M,) of the K rows
    q_best = target_network.q_values(batch.next_features[best])
    q_current = target_network.q_values(batch.next_features[current])
    q_next = active * q_best + (1 - active) * q_current
    return torch.from_numpy(batch.reward + np.float32(discount) * (q_next - batch.reward))


def update(state: TrainState, batch: Transitions) -> float:
    """One step of Adam on the Huber loss of a batch, and one of the target network.

    Returns the loss; UsageError where the weights grow beyond what a network may have.
    """
    settings, device = state.settings, state.device
    targets = td_targets(state.network, state.target_network, batch, settings.discount).to(device)
    q = state.network(torch.from_numpy(batch.action_features).to(device))  # (M, F) → (M,)
    loss = torch.nn.functional.smooth_l1_loss(q, targets)
    for group in state.optimizer.param_groups:
        group["lr"] = settings.learning_rate * max(1 - state.progress, 1e-3)
    state.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimizer.step()
    if not all(bool((p.abs() <= MAX_WEIGHT).all()) for p in state.network.parameters()):
        rate = f"learning_rate must be less than {settings.learning_rate:g}"
        raise UsageError(f"weights grew without end by step {state.step}: {rate}")
    state.target.update_parameters(state.network)
    return float(loss.detach())


def _validate(state: TrainState, validation: Validation) -> CurveRow:
    gaps = validation.gaps(state.target_network)
    return CurveRow(
        step=state.step,
        elapsed_s=state.elapsed_s,
        loss=float(np.mean(state.losses)) if state.losses else 0.0,
        reward=float(np.mean(state.rewards)),
        gap_median=float(np.median(gaps)),
        gap_mean=float(np.mean(gaps)),
        gap_max=float(np.max(gaps)),
    )


def _create_folder(folder: Path) -> None:
    """Make the folder of a new training; UsageError if it holds a checkpoint."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # the latter of a null byte
        words = getattr(error, "strerror", None) or error
        raise InputError(str(folder), [f"cannot be made: {words}"]) from None
    if (folder / DQN_CHECKPOINT).exists():
        raise UsageError(f"{folder} holds a checkpoint: resume it, or choose another folder")


def _write(state: TrainState, folder: Path) -> None:
    """The network and the curve, and last the checkpoint that stands for all of it."""
    if state.curve:
        write_network(state.best, _card(state), folder / "dqn.json")
        write_curve(state.curve, folder)
    save(state, folder)


def _card(state: TrainState) -> NetworkCard:
    settings = state.settings
    stages = [stage.model_dump(mode="json") for stage in state.stages]
    return NetworkCard(
        format="dtkd-opt/dqn/1",
        features=FEATURES_VERSION,
        hidden=settings.hidden,
        command=_command(settings, resumed=bool(stages)),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        versions={"dtkd-opt": __version__, "torch": torch.__version__, "numpy": np.__version__},
        training={**settings.model_dump(mode="json"), **({"stages": stages} if stages else {})},
    )


def _command(settings: DQNTrainSettings, resumed: bool) -> str:
    """The command that trains with these settings; Python where the command line has not all."""
    given = {"seed": settings.seed, "steps": settings.steps}
    given |= settings.model_dump(exclude_defaults=True)
    if given.keys() <= set(CLI_SETTINGS):
        words = " ".join(f"--{key} {value}" for key, value in given.items())
        return f"dtkd-opt train-dqn {words}{' --resume' if resumed else ''} --output DIR"
    words = ", ".join(f"{key}={value!r}" for key, value in given.items())
    last = ", resume=True" if resumed else ""
    return f"dtkd_opt.train_dqn(DIR, dtkd_opt.DQNTrainSettings({words}){last})"

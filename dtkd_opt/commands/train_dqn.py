"""The command `train-dqn`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dtkd_opt.commands.console import FOLDER, NUMBER, STOPPED, make_record, print_line
from dtkd_opt.records.outputs import check_folder
from dtkd_opt.records.result_files import DQN, DQN_CHECKPOINT

if TYPE_CHECKING:
    from dtkd_opt.methods.dqn.checkpoint import TrainState


@click.command("train-dqn")
@click.option("--output", type=FOLDER, required=True, help="Folder for network, curve, checkpoint.")
@click.option("--steps", type=int, help="Rounds played, each with one update. [default: 20000]")
@click.option("--minutes", type=NUMBER, help="End after this time, if the steps take longer.")
@click.option("--seed", type=int, help="Same seed and steps, same network. [default: 0]")
@click.option("--users", type=int, help="Users of the largest instance. [default: 200]")
@click.option("--resume", is_flag=True, help="Go on from the folder's checkpoint.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
def train_dqn(output: Path, resume: bool, device: str, **given: Any) -> None:
    """Train a network for the method `dqn` on generated instances.

    Writes dqn.json with dqn.safetensors, and curve.csv with curve.svg, now and then and at the end.
    Ctrl-C (exit code 130) keeps what was learned; --resume goes on.

    \b
    Example:
      dtkd-opt train-dqn --output runs/dqn --steps 20000 --seed 0
      dtkd-opt train-dqn --output runs/dqn --steps 40000 --seed 0 --resume
    """
    check_folder(output, (DQN_CHECKPOINT, *DQN))
    from dtkd_opt.methods.dqn.settings import DQNTrainSettings
    from dtkd_opt.methods.dqn.train import train_dqn
    from dtkd_opt.reporting.summary import live_line

    settings = make_record(DQNTrainSettings, given)
    with live_line() as show:
        state = train_dqn(
            output, settings, resume=resume, device=device,
            callback=lambda now: show(_progress_line(now)),
        )  # fmt: skip
    line = _progress_line(state)
    print_line(line if state.progress >= 1 else f"stopped: {line}; go on with --resume")
    if state.curve:
        print_line(f"written: {', '.join(str(output / name) for name in DQN[:3])}")
    if state.progress < 1:
        sys.exit(STOPPED)


def _progress_line(state: TrainState) -> str:
    """How far a training is."""
    text = f"step {state.step}, {state.progress:.0%}, {state.elapsed_s:.0f} s"
    if not state.curve:
        return text
    best = min(state.curve, key=lambda row: row.gap_mean)
    return (
        f"{text}; loss {state.curve[-1].loss:.1e}; best network: mean gap {best.gap_mean:.1e}, "
        f"median {best.gap_median:.1e}"
    )

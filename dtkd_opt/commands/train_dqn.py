"""`train-dqn`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dtkd_opt.commands.console import FILE, say

if TYPE_CHECKING:
    from dtkd_opt.methods.dqn.training import Training


@click.command("train-dqn")
@click.option("--output", type=FILE, required=True, help="Folder for network, curve, checkpoint.")
@click.option("--steps", type=int, help="Rounds played, each with one update. [default: 20000]")
@click.option("--minutes", type=float, help="End after this time, if it comes before the steps.")
@click.option("--seed", type=int, help="Same seed and steps, same network. [default: 0]")
@click.option("--users", type=int, help="Users of the largest instance. [default: 200]")
@click.option("--resume", is_flag=True, help="Go on from the folder's checkpoint.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
def train_dqn(output: Path, resume: bool, device: str, **given: Any) -> None:
    """Train a network for the method `dqn` on generated instances.

    Writes dqn.json with dqn.safetensors, and curve.csv with curve.svg, now and then and at the end.
    Ctrl-C keeps what was learned, also for --resume.

    \b
    Example:
      dtkd-opt train-dqn --output runs/dqn --steps 20000 --seed 0
      dtkd-opt train-dqn --output runs/dqn --steps 40000 --seed 0 --resume
    """
    from dtkd_opt.methods.dqn.train import params_of, train_dqn
    from dtkd_opt.reporting.summary import LiveLine

    params = params_of({key: value for key, value in given.items() if value is not None})
    with LiveLine() as line:
        training = train_dqn(
            output,
            params,
            resume=resume,
            device=device,
            callback=lambda now: line.show(_words(now)),
        )
    if training.done < 1:
        say(f"stopped: {_words(training)}; go on with --resume")
    else:
        say(_words(training))
    if training.curve:
        say(f"written: {output / 'dqn.json'}, {output / 'dqn.safetensors'}, {output / 'curve.csv'}")


def _words(training: Training) -> str:
    """How far a training is, on one line."""
    text = f"step {training.step}, {training.done:.0%}, {training.seconds:.0f} s"
    if not training.curve:
        return text
    best = min(training.curve, key=lambda row: row.gap_mean)
    return (
        f"{text}; loss {training.curve[-1].loss:.1e}; best network: mean gap {best.gap_mean:.1e}, "
        f"median {best.gap_median:.1e}"
    )

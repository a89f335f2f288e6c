"""The learning curve of a training of `dqn`, as CSV and as a figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from dtkd_opt.records.fields import Count, NonNegative, Record
from dtkd_opt.records.files import write_atomic
from dtkd_opt.reporting.figures import panels, svg


class CurveRow(Record):
    """One validation; loss and reward are means since the one before it."""

    step: Count  # how many steps came before it
    elapsed_s: NonNegative  # of the training [s]
    loss: float  # Huber loss of the updates
    reward: float  # of a user in a round, exploring
    gap_median: float  # over the validation instances, without exploring
    gap_mean: float  # over the same
    gap_max: float  # over the same


def write_curve(curve: Sequence[CurveRow], folder: Path) -> None:
    """Write ``curve.csv`` and, if matplotlib is installed, ``curve.svg``."""
    import pandas as pd

    frame = pd.DataFrame([row.model_dump() for row in curve])
    text = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_atomic(folder / "curve.csv", text.encode())
    if find_spec("matplotlib") is not None:
        write_atomic(folder / "curve.svg", _draw(curve))


def _draw(curve: Sequence[CurveRow]) -> bytes:
    """Gaps and loss over the steps as SVG."""
    figure, ((above,), (below,)) = panels(2, 1, (7, 5), sharex=True)
    steps = [row.step for row in curve]
    for name, label in (("gap_max", "largest"), ("gap_mean", "mean"), ("gap_median", "median")):
        above.plot(steps, [getattr(row, name) for row in curve], label=label)
    above.set(yscale=_scale(row.gap_median for row in curve), ylabel="gap, unseen instances")
    above.legend()
    below.plot(steps, [row.loss for row in curve])
    below.set(yscale=_scale(row.loss for row in curve), ylabel="loss", xlabel="step")
    return svg(figure, "curve")


def _scale(values: Iterable[float]) -> str:
    """Logarithmic, unless all values are zero, as losses are before the first update."""
    return "log" if any(value > 0 for value in values) else "linear"

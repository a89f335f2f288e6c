"""The figures of a federation: a Gantt chart, and realised against predicted accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtkd_opt.federate.timeline import STAGES
from dtkd_opt.reporting.figures import legend_below

if TYPE_CHECKING:
    from dtkd_opt.federate.result import Federation

# colours that the colour-blind tell apart (Okabe and Ito)
_COLOURS = ("#e69f00", "#cc79a7", "#0072b2", "#009e73")
_PLACES = {"device": ("#d55e00", "^", "on the device"), "server": ("#0072b2", "o", "at the server")}
_MAX_NAMES = 60  # users; more names would run into each other


def gantt(federation: Federation) -> Any:
    """When each user sends, trains and receives, those that end last at the top."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    users, timeline = federation.users, federation.timeline
    order = np.argsort(timeline.delay_s, kind="stable")
    height = min(max(0.16 * len(order) + 1.2, 2.6), 14)
    figure = Figure(figsize=(7.5, height), layout="constrained")
    axis = figure.subplots()
    colours = dict(zip(STAGES, _COLOURS, strict=True))
    for row, user in enumerate(order.tolist()):
        for stage, begin, seconds in timeline.user_stages(user):
            axis.barh(row, seconds, left=begin, height=0.8, color=colours[stage])
    if len(order) <= _MAX_NAMES:
        names = [f"{users.name[n]} {users.model[n]}, {users.place[n]}" for n in order]
        axis.set_yticks(range(len(order)), names, fontsize=7, parse_math=False)
    axis.set(xlabel="virtual time (s)", ylim=(-0.6, len(order) - 0.4))
    axis.set_title(f"{federation.instance.name}: the plan's timeline", parse_math=False)
    legend_below(figure, [Patch(color=colours[stage], label=stage) for stage in STAGES], 4)
    return figure


def accuracy_figure(federation: Federation) -> Any:
    """A mark for each trained user, and the line on which prediction and truth agree."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axis, done = figure.subplots(), federation.done
    for place, (colour, marker, label) in _PLACES.items():
        mine = done[done.place == place]
        axis.plot(
            100 * mine.predicted_accuracy, 100 * mine.realised_accuracy, marker, ms=5,
            color=colour, mfc="none", label=label,
        )  # fmt: skip
    middle = 100 * federation.users.predicted_accuracy.mean()
    axis.axline((middle, middle), slope=1, color="0.6", lw=1, zorder=0)
    axis.set_aspect("equal", adjustable="datalim")
    axis.set(xlabel="predicted accuracy (%)", ylabel="realised accuracy (%)")
    axis.set_title(f"{federation.instance.name} on {federation.data}", parse_math=False)
    axis.grid(color="0.9")
    axis.set_axisbelow(True)
    legend_below(figure, axis.get_legend_handles_labels()[0], 2)
    return figure

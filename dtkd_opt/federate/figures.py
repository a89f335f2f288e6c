"""The figures of a federation: a Gantt chart, and realised against predicted accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtkd_opt.federate.timeline import DOWNLOAD, LABEL, PIECES, TRAIN, UPLOAD
from dtkd_opt.reporting.figures import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILION,
    legend_below,
    panels,
)

if TYPE_CHECKING:
    from dtkd_opt.federate.result import Federation

_COLOURS = {UPLOAD: ORANGE, LABEL: PURPLE, TRAIN: BLUE, DOWNLOAD: GREEN}
_PLACES = {"device": (VERMILION, "^", "on the device"), "server": (BLUE, "o", "at the server")}
_NAMED = 60  # users; more names would run into each other


def gantt(federation: Federation) -> Any:
    """When each user sends, trains and receives, those that end last at the top."""
    from matplotlib.patches import Patch

    users, clock = federation.users, federation.clock
    order = np.argsort(clock.delay_s, kind="stable")
    height = min(max(0.16 * len(order) + 1.2, 2.6), 14)
    figure, ((axis,),) = panels(1, 1, (7.5, height))
    for place, user in enumerate(order.tolist()):
        for piece, begin, seconds in clock.of(user):
            axis.barh(place, seconds, left=begin, height=0.8, color=_COLOURS[piece])
    if len(order) <= _NAMED:
        names = [f"{users.name[n]} {users.model[n]}, {users.place[n]}" for n in order]
        axis.set_yticks(range(len(order)), names, fontsize=7, parse_math=False)
    axis.set(xlabel="virtual time (s)", ylim=(-0.6, len(order) - 0.4))
    axis.set_title(f"{federation.instance.name}: the plan's clock", parse_math=False)
    patches = [Patch(color=_COLOURS[piece], label=piece) for piece in PIECES]
    legend_below(figure, 4, patches)
    return figure


def accuracy_figure(federation: Federation) -> Any:
    """A mark for each user that is done, and the line on which prediction and truth agree."""
    figure, ((axis,),) = panels(1, 1, (5.2, 4.6))
    done = federation.done
    for place, (colour, mark, label) in _PLACES.items():
        mine = done[done.place == place]
        axis.plot(
            100 * mine.predicted_accuracy, 100 * mine.realised_accuracy, mark, ms=5,
            color=colour, mfc="none", label=label,
        )  # fmt: skip
    middle = 100 * federation.users.predicted_accuracy.mean()
    axis.axline((middle, middle), slope=1, color="0.6", lw=1, zorder=0)
    axis.set_aspect("equal", adjustable="datalim")
    axis.set(xlabel="predicted accuracy (%)", ylabel="realised accuracy (%)")
    axis.set_title(f"{federation.instance.name} on {federation.data}", parse_math=False)
    legend_below(figure, 2)
    return figure

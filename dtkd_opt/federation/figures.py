"""The figures of a federation: a Gantt chart, and realised against predicted accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dtkd_opt.errors import printable
from dtkd_opt.federation.timeline import STAGES
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
    from dtkd_opt.federation.result import Federation

_COLOURS = dict(zip(STAGES, (ORANGE, PURPLE, BLUE, GREEN), strict=True))
_PLACES = {"device": (VERMILION, "^", "on the device"), "server": (BLUE, "o", "at the server")}
_MAX_NAMES = 60  # users; more names would run into each other


def gantt(federation: Federation) -> Any:
    """When each user sends, trains and receives, those that end last at the top."""
    from matplotlib.patches import Patch

    users, timeline = federation.users, federation.timeline
    order = np.argsort(timeline.delay_s, kind="stable")
    height = min(max(0.16 * len(order) + 1.2, 2.6), 14)
    figure, ((axis,),) = panels(1, 1, (7.5, height))
    for row, user in enumerate(order.tolist()):
        for stage, start, seconds in timeline.user_stages(user):
            axis.barh(row, seconds, left=start, height=0.8, color=_COLOURS[stage])
    if len(order) <= _MAX_NAMES:
        names = [printable(f"{users.name[n]} {users.model[n]}, {users.place[n]}") for n in order]
        axis.set_yticks(range(len(order)), names, fontsize=7, parse_math=False)
    axis.set(xlabel="virtual time (s)", ylim=(-0.6, len(order) - 0.4))
    axis.set_title(f"{federation.instance.name}: the plan's timeline", parse_math=False)
    patches = [Patch(color=colour, label=stage) for stage, colour in _COLOURS.items()]
    legend_below(figure, 4, patches)
    return figure


def accuracy_figure(federation: Federation) -> Any:
    """A mark for each trained user, and the line on which prediction and truth agree."""
    figure, ((axis,),) = panels(1, 1, (5.2, 4.6))
    done = federation.done
    for place, (colour, mark, label) in _PLACES.items():
        at_place = done[done.place == place]
        if at_place.empty:  # else the legend would list it
            continue
        axis.plot(
            100 * at_place.predicted_accuracy, 100 * at_place.realised_accuracy, mark, ms=5,
            color=colour, mfc="none", label=label,
        )  # fmt: skip
    middle = 100 * federation.users.predicted_accuracy.mean()
    axis.axline((middle, middle), slope=1, color="0.6", lw=1, zorder=0)
    axis.set_aspect("equal", adjustable="datalim")
    axis.set(xlabel="predicted accuracy (%)", ylabel="realised accuracy (%)")
    axis.set_title(f"{federation.instance.name} on {federation.data}", parse_math=False)
    legend_below(figure, 2)
    return figure

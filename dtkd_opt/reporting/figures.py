"""One style for every figure: palette, markers, panels, legend, SVG bytes."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from dtkd_opt.errors import printable_lines

# Okabe and Ito, "Color universal design", 2008: told apart with any colour vision
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
EMPTY = "0.92"  # the region in which nothing can be
_RC: Any = {"axes.grid": True, "grid.color": "0.9", "axes.axisbelow": True}


def panels(rows: int, columns: int, size: tuple[float, float], **shared: Any) -> tuple[Any, Any]:
    """A figure in the common style, and its (rows, columns) axes.

    Parameters
    ----------
    rows, columns, size
        How many panels, and the figure's width and height in inches.
    shared
        `sharex` and `sharey` of matplotlib's ``Figure.subplots``.
    """
    from cycler import cycler
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({**_RC, "axes.prop_cycle": cycler(color=PALETTE)}):
        figure = Figure(figsize=size, layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **shared)


def colour_and_marker(number: int) -> tuple[str, str]:
    """Those of the line of this number, from 0; no two of the first 49 have both alike."""
    turn = number // len(PALETTE)
    return PALETTE[number % len(PALETTE)], MARKERS[(number + turn) % len(MARKERS)]


def legend_below(figure: Any, columns: int, handles: Sequence[Any] | None = None) -> None:
    """One legend for all panels, its texts shown as they are: names may hold $ and begin with _.

    Parameters
    ----------
    figure, columns
        The figure, and how many entries stand beside each other.
    handles
        What to list; by default all that is labelled, each label once.
    """
    if handles is None:
        drawn = (axis.get_legend_handles_labels() for axis in figure.axes)
        labelled = {label: handle for pair in drawn for handle, label in zip(*pair, strict=True)}
        handles = list(labelled.values())
    names = [handle.get_label() for handle in handles]
    legend = figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def svg(figure: Any, name: str) -> bytes:
    """A figure as SVG; the same figure and name give the same bytes.

    What no terminal and no XML takes, in names, is escaped: in all texts but those of ticks, which
    matplotlib makes as it draws.
    """
    from matplotlib import rc_context
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_text(printable_lines(text.get_text()))
    image = BytesIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(image, format="svg", metadata={"Date": None})
    return image.getvalue()

"""Figures as files."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any


def svg(figure: Any, name: str) -> bytes:
    """A figure of matplotlib's as SVG; the same figure and name give the same bytes."""
    from matplotlib import rc_context

    image = BytesIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(image, format="svg", metadata={"Date": None})
    return image.getvalue()


def legend_below(figure: Any, handles: Sequence[Any], columns: int) -> None:
    """A legend of the handles' labels, shown as they are: names may hold $ and begin with _."""
    names = [handle.get_label() for handle in handles]
    legend = figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)

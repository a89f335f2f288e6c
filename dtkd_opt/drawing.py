"""Figures as files."""

from __future__ import annotations

from io import BytesIO
from typing import Any


def svg(figure: Any, name: str) -> bytes:
    """A figure of matplotlib's as SVG; the same figure and name give the same bytes."""
    from matplotlib import rc_context

    image = BytesIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(image, format="svg", metadata={"Date": None})
    return image.getvalue()

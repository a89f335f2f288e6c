"""The figures of a federation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest


def test_figures_of_a_federation_show_names_as_they_are() -> None:
    pytest.importorskip("torch")
    from dtkd_opt.federation.figures import accuracy_figure, gantt
    from dtkd_opt.federation.timeline import STAGES, Timeline
    from dtkd_opt.reporting.figures import svg

    words = {"name": ["$\\foo$", "b"], "model": ["m", "m"], "place": ["device", "server"]}
    figures = {"predicted_accuracy": [0.8, 0.9], "realised_accuracy": [0.7, 0.9]}
    users = pd.DataFrame(words | figures)
    timeline = Timeline(np.array([0, 1]), {stage: np.ones(2) for stage in STAGES})
    odd: Any = SimpleNamespace(
        instance=SimpleNamespace(name="[/a] $\\foo$"),
        data="d",
        users=users,
        done=users,
        timeline=timeline,
    )
    for figure in (gantt(odd), accuracy_figure(odd)):
        assert svg(figure, "odd")

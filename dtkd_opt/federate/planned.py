"""What is carried out: a plan for an instance, and with which labels its students learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dtkd_opt.records.instance import Instance
from dtkd_opt.records.solution import Solution

Labels = Literal["soft", "hard"]


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan and its instance; `hard` labels alone are for plans that train on devices only."""

    instance: Instance
    solution: Solution
    labels: Labels = "soft"

"""The virtual timeline: when each user sends, trains and receives, by the delay model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dtkd_opt.problem.delays import stage_delays
from dtkd_opt.problem.demands import Demands
from dtkd_opt.records.arrays import Array, Index
from dtkd_opt.records.instance import SERVER, Instance
from dtkd_opt.records.plan import Plan

STAGES = ("upload", "label", "train", "download")
_ORDER = {False: ("download", "train"), True: STAGES}  # at the server?


@dataclass(frozen=True, eq=False)
class Timeline:
    """Seconds that each user needs for each stage, (N,) each; all users start at 0."""

    place: Index  # (N,) DEVICE or SERVER
    seconds: dict[str, Array]  # (N,) by stage

    @property
    def delay_s(self) -> Array:
        """(N,) when each user ends."""
        return np.asarray(np.sum([self.seconds[stage] for stage in STAGES], axis=0))

    def user_stages(self, user: int) -> Iterator[tuple[str, float, float]]:
        """One user's stages in their order: name, start and duration in seconds."""
        start = 0.0
        for stage in _ORDER[bool(self.place[user] == SERVER)]:
            seconds = float(self.seconds[stage][user])
            yield stage, start, seconds
            start += seconds


def build_timeline(instance: Instance, plan: Plan) -> Timeline:
    """Each user's delay in stages, at the plan's shares; they sum up to the plan's delay."""
    chosen = Demands.of_plan(instance, plan)
    delays = stage_delays(chosen, plan.uplink_hz, plan.downlink_hz, plan.compute_hz)
    return Timeline(plan.place, {stage: getattr(delays, stage) for stage in STAGES})

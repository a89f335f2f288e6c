"""The virtual clock: when each user sends, trains and receives, by the delay model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dtkd_opt.problem import physics
from dtkd_opt.problem.demands import Demands
from dtkd_opt.problem.physics import Array, Index
from dtkd_opt.records.instance import SERVER, Instance
from dtkd_opt.records.plan import Plan

UPLOAD, LABEL, TRAIN, DOWNLOAD = PIECES = ("upload", "label", "train", "download")
_ORDER = {False: (DOWNLOAD, TRAIN), True: (UPLOAD, LABEL, TRAIN, DOWNLOAD)}  # at the server?


@dataclass(frozen=True, eq=False)
class Clock:
    """Seconds that each user needs for each piece, (N,) each; all users begin at 0."""

    place: Index  # DEVICE or SERVER
    seconds: dict[str, Array]

    @property
    def delay_s(self) -> Array:
        """(N,) when each user ends."""
        total: Array = np.sum([self.seconds[piece] for piece in PIECES], axis=0)
        return total

    def of(self, user: int) -> Iterator[tuple[str, float, float]]:
        """One user's pieces in their order: name, begin and duration in seconds."""
        begin = 0.0
        for piece in _ORDER[bool(self.place[user] == SERVER)]:
            seconds = float(self.seconds[piece][user])
            yield piece, begin, seconds
            begin += seconds


def clock(instance: Instance, plan: Plan) -> Clock:
    """Each user's delay in its pieces, at the plan's shares; they sum up to the plan's delay.

    upload φ D β / r_ul, label φ D c_T / f, train E_p D c_m / f, download s_m / r_dl; on the device
    download (1 - φ) D λ / r_dl and train.
    """
    chosen = planned(instance, plan)
    upload = physics.uplink_rate(plan.uplink_hz, chosen.uplink_snr_hz())
    download = physics.downlink_rate(plan.downlink_hz, chosen.downlink_efficiency())
    training = chosen.training_cycles()
    labelling = np.where(chosen.on_server, chosen.server_cycles() - training, 0.0)
    seconds = {
        UPLOAD: physics.transfer_delay(chosen.upload_bits(), upload),
        LABEL: physics.compute_delay(labelling, plan.compute_hz),
        TRAIN: physics.compute_delay(training, plan.compute_hz),
        DOWNLOAD: physics.transfer_delay(chosen.download_bits(), download),
    }
    return Clock(plan.place, seconds)


def planned(instance: Instance, plan: Plan) -> Demands:
    """What every user does, with the bits that are to cross: `upload_bits`, `download_bits`."""
    users = np.arange(len(instance.users))
    return Demands(instance, users, plan.model, plan.place, plan.server)

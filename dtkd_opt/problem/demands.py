"""What training a student at a place, by a server, demands of each: the equations, vectorised.

The options (:mod:`dtkd_opt.problem.options`) and the evaluation of plans both start from
here; each builds its own entries, and neither reads the other's numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from dtkd_opt.problem import physics
from dtkd_opt.records.arrays import Array, Index, Mask
from dtkd_opt.records.instance import PLACES, SERVER, Instance
from dtkd_opt.records.plan import Plan


@dataclass(frozen=True, eq=False)
class Demands:
    """K entries, a user (with any model, place, server) each; all arrays of shape (K,)."""

    instance: Instance
    user: Index
    model: Index
    place: Index  # DEVICE or SERVER
    server: Index

    @classmethod
    def of_plan(cls, instance: Instance, plan: Plan) -> Self:
        """Every user's choice in a plan, (N,) entries."""
        users = np.arange(len(instance.users))
        return cls(instance, users, plan.model, plan.place, plan.server)

    def select(self, rows: slice | Index) -> Demands:
        """Some of the entries."""
        columns = (self.user, self.model, self.place, self.server)
        return Demands(self.instance, *(column[rows] for column in columns))

    @property
    def on_server(self) -> Mask:
        return np.asarray(self.place == SERVER)

    def of_user(self, key: str) -> Array:
        """A user's number, such as `samples`."""
        column: Array = getattr(self.instance.users, key)
        return column[self.user].astype(float, copy=False)

    def of_model(self, key: str) -> Array:
        """A model's number, such as `bits`."""
        return np.array([getattr(m, key) for m in self.instance.models], float)[self.model]

    def of_server(self, key: str) -> Array:
        """A server's number, such as `tx_power_w`."""
        return np.array([getattr(s, key) for s in self.instance.servers], float)[self.server]

    def gain(self) -> Array:
        """g_ns, 0 where out of reach."""
        gain: Array = self.instance.users.channel_gain[self.user, self.server]
        return np.where(np.isnan(gain), 0.0, gain)

    def training_cycles(self) -> Array:
        """E_p D c_m [cycles], at either place."""
        return physics.training_cycles(
            self.of_user("samples"), self.instance.task.epochs, self.of_model("cycles_per_sample")
        )

    def labelling_cycles(self) -> Array:
        """φ D c_T [cycles] at the server, 0 on the device."""
        cycles = physics.labelling_cycles(
            self.of_user("samples"),
            self.of_user("fresh_fraction"),
            self.instance.task.teacher_cycles_per_sample,
        )
        return np.where(self.on_server, cycles, 0.0)

    def server_cycles(self) -> Array:
        """φ D c_T + E_p D c_m [cycles] at the server, 0 on the device."""
        return np.where(self.on_server, self.labelling_cycles() + self.training_cycles(), 0.0)

    def upload_bits(self) -> Array:
        """φ D β [bit] to the server, 0 on the device."""
        bits = physics.fresh_bits(
            self.of_user("samples"),
            self.of_user("fresh_fraction"),
            self.instance.task.bits_per_sample,
        )
        return np.where(self.on_server, bits, 0.0)

    def download_bits(self) -> Array:
        """s_m [bit] from the server, (1 - φ) D λ to the device."""
        labels = physics.label_bits(
            self.of_user("samples"),
            self.of_user("fresh_fraction"),
            self.instance.task.bits_per_label,
        )
        return np.where(self.on_server, self.of_model("bits"), labels)

    def uplink_snr_hz(self) -> Array:
        """γ = p g / N0 [Hz]."""
        return physics.uplink_snr_hz(
            self.of_user("tx_power_w"), self.gain(), self.of_server("noise_w_per_hz")
        )

    def uplink_limit_s(self) -> Array:
        """E_n / p_n [s]: the longest upload within the energy budget, inf on the device."""
        limit = self.of_user("energy_j") / self.of_user("tx_power_w")
        return np.where(self.on_server, limit, np.inf)

    def downlink_efficiency(self) -> Array:
        """log2(1 + P g / (N0 B_dl)) [bit/s/Hz]."""
        return physics.downlink_efficiency(
            self.of_server("tx_power_w"),
            self.gain(),
            self.of_server("noise_w_per_hz"),
            self.of_server("downlink_hz"),
        )

    def downlink_work(self) -> Array:
        """Bits over spectral efficiency [Hz s]: what a share of the band divides to a delay."""
        return self.download_bits() / self.downlink_efficiency()

    def max_device_hz(self, energy_j: Array) -> Array:
        """The fastest frequency of a training on the device, within its CPU and an energy [J]."""
        limits = self.of_user("cpu_hz"), self.of_user("kappa"), energy_j
        return physics.device_frequency(self.training_cycles(), *limits)

    def device_hz(self) -> Array:
        """The fastest frequency within CPU and energy budget on the device, 0 at the server."""
        return np.where(self.on_server, 0.0, self.max_device_hz(self.of_user("energy_j")))

    def device_delay_s(self, device_hz: Array) -> Array:
        """E_p D c_m / f [s] on the device, 0 at the server."""
        delay = physics.compute_delay(self.training_cycles(), device_hz)
        return np.where(self.on_server, 0.0, delay)

    def accuracy(self) -> Array:
        """a_m^place(D)."""
        accuracy = np.empty(len(self.user))
        for m, model in enumerate(self.instance.models):
            for p, place in enumerate(PLACES):
                rows = np.flatnonzero((self.model == m) & (self.place == p))
                if len(rows):
                    samples = self.instance.users.samples[self.user[rows]]
                    accuracy[rows] = model.accuracy.at(samples, place)
        return accuracy


def pool_capacity(instance: Instance) -> Array:
    """(3, S) size of each server's uplink [Hz], downlink [Hz] and CPU [cycles/s]."""
    pools = ("uplink_hz", "downlink_hz", "cpu_hz")
    return np.array([[getattr(s, pool) for s in instance.servers] for pool in pools], float)

"""The baseline of one common student: its clock under FedAvg, and which student that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dtkd_opt import physics
from dtkd_opt.calibration import Calibration
from dtkd_opt.choices import Choices
from dtkd_opt.errors import InfeasibleError, UsageError
from dtkd_opt.federate.table import hard_models, table_for
from dtkd_opt.instance import SERVER, Instance
from dtkd_opt.physics import Array, Index


@dataclass(frozen=True, eq=False)
class FedAvgPlan:
    """One student for all, and what federated averaging of it takes each user; (N,) each.

    `epochs` are the local ones of each round, all together the task's. `delay_s` is when a user
    has the last average, where each round waits for its slowest user. `least_delay_s` is what no
    schedule takes less than: a user's own trainings and uploads, and an average that each server
    sends to all its users at once.
    """

    instance: Instance
    student: str
    epochs: tuple[int, ...]
    server: Index  # of the greatest gain
    cpu_hz: Array  # of the device, within its energy budget
    upload_s: Array  # of one round
    download_s: Array  # of one round
    delay_s: Array
    least_delay_s: Array
    expected_accuracy: float

    @property
    def total_delay_s(self) -> float:
        """Sum of the users' delays [s], as in J."""
        return float(self.delay_s.sum())

    @property
    def least_total_delay_s(self) -> float:
        """The same [s] without any waiting."""
        return float(self.least_delay_s.sum())

    @property
    def objective(self) -> float:
        """J [s] = mean delay + ρ (1 - expected accuracy)."""
        error = 1 - self.expected_accuracy
        return float(self.delay_s.mean()) + self.instance.seconds_per_error * error


def plan_fedavg(
    instance: Instance,
    table: Calibration | None = None,
    *,
    local_epochs: int = 5,
    student: str | None = None,
) -> FedAvgPlan:
    """Plan federated averaging (McMahan et al., "Communication-efficient learning …", 2017).

    In each round every user trains the common student on all its samples with hard labels, sends
    the weights to the server of its greatest gain and gets their average. All begin with the same
    weights, drawn of one seed, so that as many downloads as uploads are needed. The users of a
    server share its two bands equally at all times, and train at their fastest frequency. A round r
    with E_r epochs takes as long as its slowest user, so that user n has its student after

        T_n = Σ_r max_i [ E_r D_i c_m / f_i + s_m / r_ul,i(B_ul / N_s) + s_m / r_dl,i(B_dl / N_s) ]

    but for the downloads: the first round begins without one, and the last is n's own.

    Parameters
    ----------
    instance, table
        The problem, and the calibrated table for what may be expected. None: that of
        :func:`shipped_calibration` where the instance carries its task and models, by which
        `fedavg` trains such a plan on its data.
    local_epochs
        Epochs of a round; the last has what is left of the task's.
    student
        Name of the student. None: that of least J among those that keep all users' limits, with
        the accuracy of hard labels at the samples of all users together, constant beyond the
        table's end (averaging is as good as one training on all at the most); of the instance's
        device accuracy where there is no table.

    Raises
    ------
    UsageError
        When `local_epochs` or `student` mean nothing.
    InfeasibleError
        When no student, or not the named one, keeps all limits.
    """
    names = [model.name for model in instance.models]
    if local_epochs < 1:
        raise UsageError(f"local_epochs must be at least 1, got {local_epochs}")
    if student is not None and student not in names:
        raise UsageError(f'no student is named "{student}"; there are {", ".join(names)}')
    table = table_for(instance, table)
    plans = []
    for m, name in enumerate(names):
        if student in (None, name):
            plan = _plan(instance, m, _rounds(instance.task.epochs, local_epochs), table)
            plans += [plan] if _within_limits(plan) else []
    if not plans:
        keeps = "no student keeps" if student is None else f"{student} does not keep"
        raise InfeasibleError(f"FedAvg: {keeps} all users' limits")
    return min(plans, key=lambda plan: plan.objective)


def _rounds(epochs: int, local: int) -> tuple[int, ...]:
    whole, rest = divmod(epochs, local)
    return (local,) * whole + ((rest,) if rest else ())


def _plan(
    instance: Instance, m: int, epochs: tuple[int, ...], table: Calibration | None
) -> FedAvgPlan:
    users, count = instance.users, len(instance.users)
    server = np.nanargmax(users.channel_gain, axis=1).astype(np.int64)
    chosen = Choices(instance, np.arange(count), np.full(count, m), np.full(count, SERVER), server)
    upload, download, broadcast = _transfers(chosen)
    # a user whose radio alone is beyond its budget gets no cycles, and an endless delay
    left = users.energy_j - len(epochs) * physics.upload_energy(users.tx_power_w, upload)
    cycles = chosen.training_cycles()
    cpu = physics.device_frequency(cycles, users.cpu_hz, users.kappa, np.maximum(left, 0.0))
    whole = physics.compute_delay(cycles, cpu)
    trained = np.outer(epochs, whole) / instance.task.epochs  # (R, N)
    models = instance.models if table is None else hard_models(instance, table)
    return FedAvgPlan(
        instance=instance,
        student=instance.models[m].name,
        epochs=epochs,
        server=server,
        cpu_hz=cpu,
        upload_s=upload,
        download_s=download,
        delay_s=_synchronous(trained + upload, download),
        least_delay_s=whole + len(epochs) * (upload + broadcast),
        expected_accuracy=models[m].accuracy.at(float(users.samples.sum()), "device"),
    )


def _transfers(chosen: Choices) -> tuple[Array, Array, Array]:
    """(N,) seconds of sending the weights once: up and down at equal shares, and down to all.

    To all goes over the whole band, as fast as the user of a server who hears it worst can follow.
    """
    sharing = np.bincount(chosen.server)[chosen.server]
    bits, band = chosen.of_model("bits"), chosen.of_server("downlink_hz")
    up = physics.uplink_rate(chosen.of_server("uplink_hz") / sharing, chosen.uplink_snr_hz())
    density = chosen.downlink_efficiency()
    weakest = np.full(int(chosen.server.max()) + 1, np.inf)
    np.minimum.at(weakest, chosen.server, density)
    rates = (up, physics.downlink_rate(band / sharing, density),
             physics.downlink_rate(band, weakest[chosen.server]))  # fmt: skip
    upload, download, broadcast = (physics.transfer_delay(bits, rate) for rate in rates)
    return upload, download, broadcast


def _synchronous(until_sent: Array, download: Array) -> Array:
    """(N,) ends, where an average waits for the slowest: Σ_r max_n (…) and the last download.

    `until_sent` (R, N) are training and upload; from the second round on a download precedes them.
    """
    begun = np.vstack([until_sent[:1], until_sent[1:] + download])
    ends: Array = begun.max(axis=1).sum() + download
    return ends


def _within_limits(plan: FedAvgPlan) -> bool:
    users = plan.instance.users
    on_time = np.isfinite(plan.delay_s) & (plan.delay_s <= users.deadline_s)
    return bool((on_time & (plan.expected_accuracy >= users.min_accuracy)).all())

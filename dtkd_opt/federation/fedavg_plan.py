"""The baseline of one common student: its rounds under FedAvg, and which student that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dtkd_opt.errors import InfeasibleError, printable
from dtkd_opt.federation.calibration import calibration_for, hard_label_models
from dtkd_opt.pricing.uplink import inverse_phi
from dtkd_opt.problem import physics
from dtkd_opt.problem.delays import download_delay, upload_delay
from dtkd_opt.problem.demands import Demands
from dtkd_opt.problem.physics import LN2
from dtkd_opt.records.arguments import as_choice, as_whole
from dtkd_opt.records.arrays import Array, Index
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.records.instance import SERVER, Instance, as_instance

_TOLERANCE = 1e-12  # of a round's length, relative


@dataclass(frozen=True, eq=False)
class FedAvgPlan:
    """One student for N users, and the timeline of the R rounds of its federated averaging."""

    instance: Instance  # the problem
    student: str  # name of the common student
    epochs: tuple[int, ...]  # (R,) local ones of each round, all together the task's
    server: Index  # (N,) number of the server of greatest gain
    device_hz: Array  # (N,) of the CPU, within its energy budget [cycles/s]
    uplink_hz: Array  # (R, N) shares of the servers' uplink bands [Hz]
    upload_s: Array  # (R, N) [s]
    download_s: Array  # (N,) of an average, which a server broadcasts to its users [s]
    delay_s: Array  # (N,) until a user has the last average [s]
    expected_accuracy: float  # of the common student, for every user

    def __repr__(self) -> str:
        rounds = f"{len(self.epochs)} rounds of {self.student}"
        return f"<FedAvgPlan of {self.instance!r}: {rounds}, objective {self.objective:.6g}>"

    @property
    def total_delay_s(self) -> float:
        """Sum of the users' delays [s], as in J."""
        return float(self.delay_s.sum())

    @property
    def objective(self) -> float:
        """J [s] = mean delay + ρ (1 - expected accuracy)."""
        error = 1 - self.expected_accuracy
        return float(self.delay_s.mean()) + self.instance.seconds_per_error * error


def plan_fedavg(
    instance: Instance,
    calibration: Calibration | None = None,
    *,
    local_epochs: int = 5,
    student: str | None = None,
) -> FedAvgPlan:
    """Plan federated averaging (McMahan et al., "Communication-efficient learning …", 2017).

    In each round every user trains the common student on all its samples with hard labels, sends
    the weights to the server of its greatest gain and gets their average. All begin with the same
    weights, drawn of one seed, so that as many downloads as uploads are needed. A round r with E_r
    epochs takes as long as its slowest user; the uplink shares of a round are constant and make it
    as short as possible, and a server broadcasts the average over its whole band, at the rate of
    the user with the worst channel. User n has its student after

        T_n = Σ_r max_i [ d_i 1(r > 1) + E_r D_i c_m / f_i + s_m / r_ul,i(b_ir) ] + d_n
        d_i = s_m / min_j r_dl,j(B_dl),  j of the same server

    Devices run at their fastest frequency. A user with an energy budget has an equal share of the
    uplink at the least, from which its frequency follows.

    Parameters
    ----------
    instance, calibration
        The problem, and the source of the expected accuracy. None: :func:`shipped_calibration`
        where the instance carries its task and models, by which `fedavg` trains such a plan on
        its data.
    local_epochs
        Epochs of a round; the last has what is left of the task's.
    student
        Name of the student. None: that of least J among those that keep all users' limits, with
        the accuracy of hard labels at the samples of all users together, constant beyond the
        calibrated sizes (averaging is at most as good as one training on all); the instance's
        device accuracy where there is no calibration.

    Returns
    -------
    FedAvgPlan
        What :func:`dtkd_opt.fedavg` trains.

    Raises
    ------
    UsageError
        When `local_epochs` or `student` is not possible.
    InfeasibleError
        When no student, or not the named one, keeps all limits.
    """
    names = [model.name for model in as_instance(instance).models]
    local_epochs = as_whole(local_epochs, "local_epochs must be at least 1", lambda n: n >= 1)
    if student is not None:
        as_choice(student, names, "no student is named")
    calibration = calibration_for(instance, calibration)
    plans = []
    for m, name in enumerate(names):
        if student in (None, name):
            plan = _plan(instance, m, _rounds(instance.task.epochs, local_epochs), calibration)
            plans += [plan] if _within_limits(plan) else []
    if not plans:
        keeps = "no student keeps" if student is None else f"{printable(student)} does not keep"
        raise InfeasibleError(f"FedAvg: {keeps} all users' limits")
    return min(plans, key=lambda plan: plan.objective)


def _rounds(epochs: int, local: int) -> tuple[int, ...]:
    whole, rest = divmod(epochs, local)
    return (local,) * whole + ((rest,) if rest else ())


def _plan(
    instance: Instance, m: int, epochs: tuple[int, ...], calibration: Calibration | None
) -> FedAvgPlan:
    users, count = instance.users, len(instance.users)
    server = np.nanargmax(users.channel_gain, axis=1).astype(np.int64)
    chosen = Demands(instance, np.arange(count), np.full(count, m), np.full(count, SERVER), server)
    equal = chosen.of_server("uplink_hz") / np.bincount(server)[server]
    radio = len(epochs) * physics.upload_energy(users.tx_power_w, _upload(chosen, equal))
    # a user whose radio alone is beyond its budget gets no cycles, and an infinite delay
    cpu = chosen.max_device_hz(np.maximum(users.energy_j - radio, 0.0))
    train_s = physics.compute_delay(chosen.training_cycles(), cpu)
    trained = np.outer(epochs, train_s) / instance.task.epochs
    minimum = np.where(np.isfinite(users.energy_j), equal, 0.0)
    _, first, inverse = np.unique(epochs, return_index=True, return_inverse=True)
    shares = np.array([_shares(chosen, trained[r], equal, minimum) for r in first])[inverse]
    upload, download = _upload(chosen, shares), _broadcast(chosen)
    models = hard_label_models(instance.models, calibration)
    return FedAvgPlan(
        instance=instance,
        student=instance.models[m].name,
        epochs=epochs,
        server=server,
        device_hz=cpu,
        uplink_hz=shares,
        upload_s=upload,
        download_s=download,
        delay_s=_synchronous(trained + upload, download),
        expected_accuracy=models[m].accuracy.at(float(users.samples.sum()), "device"),
    )


def _upload(chosen: Demands, uplink_hz: Array) -> Array:
    """Seconds of sending the weights up once, with shares (…, N) of the uplink."""
    return upload_delay(chosen, uplink_hz, chosen.of_model("bits"))


def _broadcast(chosen: Demands) -> Array:
    """(N,) seconds of a server's broadcast to its users: as long as for the slowest of them."""
    longest = np.zeros(int(chosen.server.max()) + 1)
    np.maximum.at(longest, chosen.server, download_delay(chosen, chosen.of_server("downlink_hz")))
    return longest[chosen.server]


def _shares(chosen: Demands, trained: Array, equal: Array, minimum: Array) -> Array:
    """(N,) shares of the uplink with which the last user of each server ends as early as possible.

    All then end together, except users with their `minimum` share, who may end earlier. Where a
    delay is infinite the shares are equal.
    """
    shares, latest = equal.copy(), trained + _upload(chosen, equal)
    if np.isfinite(latest).all():
        for server in np.unique(chosen.server):
            rows = np.flatnonzero(chosen.server == server)
            shares[rows] = _minimise_end(
                chosen.select(rows), trained[rows], minimum[rows], equal[rows].sum(),
                latest[rows].max(),
            )  # fmt: skip
    return shares


def _minimise_end(
    chosen: Demands, trained: Array, minimum: Array, band_hz: float, latest: float
) -> Array:
    """Shares of one server's band, by bisection of the time at which all end, `latest` at most."""
    snr_hz = chosen.uplink_snr_hz()
    fastest = chosen.of_model("bits") * LN2 / snr_hz  # upload over an infinite band

    def needed(end: float) -> Array:
        left = np.maximum(end - trained, 0.0)
        with np.errstate(divide="ignore"):
            log_z = inverse_phi(np.log(left / fastest))
        return np.asarray(np.maximum(snr_hz * np.exp(log_z), minimum))

    early, late = float(trained.max()), latest
    while late - early > _TOLERANCE * late:
        middle = (early + late) / 2
        early, late = (early, middle) if needed(middle).sum() <= band_hz else (middle, late)
    shares = needed(late)
    shares *= min(1.0, band_hz / shares.sum())
    return shares


def _synchronous(until_sent: Array, download: Array) -> Array:
    """(N,) ends, where an average waits for the slowest: Σ_r max_n (…) and the last download.

    `until_sent` (R, N) are training and upload; from the second round on a download precedes them.
    """
    rounds = np.vstack([until_sent[:1], until_sent[1:] + download])
    return np.asarray(rounds.max(axis=1).sum() + download)


def _within_limits(plan: FedAvgPlan) -> bool:
    users = plan.instance.users
    on_time = np.isfinite(plan.delay_s) & (plan.delay_s <= users.deadline_s)
    return bool((on_time & (plan.expected_accuracy >= users.min_accuracy)).all())

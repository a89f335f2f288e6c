"""How `federate` trains by a calibration, and the accuracy to be expected then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.distill.data import load_data
from dtkd_opt.federation import calibration as calibrations
from dtkd_opt.federation.fedavg import fedavg_job
from dtkd_opt.federation.hyperparameters import differences, expected_interval, train_configs
from dtkd_opt.federation.plan import FederationPlan
from dtkd_opt.records.calibration import Calibration, PowerLaw
from dtkd_opt.records.instance import Instance
from tests.support.federating import (
    SHARES,
    calibrated,
    calibration,
    instance,
    plan,
)


def test_trainings_are_those_of_the_calibration(problem: Instance, solution: do.Solution) -> None:
    """Of the nearest size in logarithm: 60 up to 120, 240 above it."""
    rates = {"logreg": (2e-3, 4e-3), "cnn_m": (1e-3, 4e-3)}
    configs = train_configs(FederationPlan(problem, solution), calibration(problem))
    for config, student, (samples, *_) in zip(configs, solution.users.model, SHARES, strict=True):
        wanted = rates[student][samples > 120]
        assert (config.learning_rate, config.batch_size) == (wanted, 16)
        assert (config.tau, config.alpha, config.epochs) == (3.0, 0.8, 20)
    others = calibration(problem).replace(choices=())
    with pytest.raises(do.InputError, match='has none for "'):
        train_configs(FederationPlan(problem, solution), others)
    longer = instance(epochs=5)
    with pytest.raises(do.InputError, match=r"task\.epochs: must be 20"):
        train_configs(FederationPlan(longer, solution), calibration(problem))


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Calibration:
    """A calibration of the digits as the shipped one, carried by an instance of 2 epochs."""
    made = calibrated(instance(epochs=2))
    fit = PowerLaw(a=0.5, b=0.0, c=1.0, fitted=(0.5, 0.5), residuals=(0.0, 0.0))
    curves = tuple(curve.replace(fit=fit) for curve in made.curves)
    made = made.replace(curves=curves)
    monkeypatch.setattr(calibrations, "shipped_calibration", lambda: made)
    return made


def test_each_plan_is_trained_by_its_own_calibration(shipped: Calibration, tmp_path: Path) -> None:
    """Alone and beside others: those that do not carry the shipped one are left without."""
    mine, longer = instance(epochs=2), instance(epochs=3)
    plans = {
        "local": do.local_only(mine),
        "soft": FederationPlan(mine, plan(mine)),
        "longer": FederationPlan(longer, plan(longer)),
    }
    spec = do.FederationSpec(cache=tmp_path, jobs=1)
    together = do.federate_all(plans, spec)
    for name, one in plans.items():
        single = do.federate_all({"plan": one}, spec)["plan"]
        for key in ("learning_rate", "realised_accuracy"):
            assert single.users[key].tolist() == together[name].users[key].tolist()
        wanted = train_configs(one, None if name == "longer" else shipped)
        assert single.users.learning_rate.tolist() == [one.learning_rate for one in wanted]
    notes = [
        any("No calibration was given" in note for note in one.notes) for one in together.values()
    ]
    assert notes == [False, False, True]
    for problem, carried in ((mine, shipped), (longer, None)):
        averaging = do.plan_fedavg(problem, student="cnn_m")
        specs = [do.FederationSpec(calibration=one) for one in (None, carried)]
        tasks = [fedavg_job(averaging, one)[1] for one in specs]
        assert tasks[0] == tasks[1]
        assert (tasks[0].config.batch_size == 16) == (problem is mine)


def test_the_expected_interval_is_calibrated(problem: Instance, solution: do.Solution) -> None:
    part = np.log10(np.array([samples for samples, *_ in SHARES]) / 60)
    low, high = np.mean(0.31 + 0.09 * part), np.mean(0.91 + 0.09 * part)
    found = expected_interval(FederationPlan(problem, solution), calibration(problem))
    assert found == pytest.approx((low, high))
    assert expected_interval(FederationPlan(problem, solution), None) is None


def test_what_differs_from_the_calibration_is_notes(
    problem: Instance, solution: do.Solution
) -> None:
    data = load_data("digits")
    like = calibration(problem).replace(data_sha256=data.sha256)
    found = list(differences(FederationPlan(problem, solution), data, like, "iid", len(data.train)))
    assert found == ["On the device 25% to 100% of a user's samples are fresh (mean 62%), "
                     "in the calibration 30%."]  # fmt: skip
    other = instance("logreg", "cnn_m", shares=((90, 0.3, "device"), (90, 0.5, "server")))
    both = plan(other, ((90, 0.3, "device"), (90, 0.5, "server")))
    assert list(differences(FederationPlan(other, both), data, like, "iid", len(data.train))) == []
    partition = list(differences(FederationPlan(other, both), data, like, "dirichlet(0.3)", 500))
    assert partition == [
        "Private samples are dirichlet(0.3), those of the calibration iid.",
        "The teacher is trained on the 500 samples that the twins mirror; that of a calibration "
        "on all 1,169.",
    ]
    better = other.models[0].accuracy.replace(server=(0.7, 0.95))
    models = (other.models[0].replace(accuracy=better), *other.models[1:])
    changed = other.replace(models=models)
    (notes,) = differences(FederationPlan(changed, both), data, like, "iid", len(data.train))
    assert notes == "The instance's accuracies are not the calibrated means."

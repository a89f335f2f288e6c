"""The calibration that a plan belongs to."""

from __future__ import annotations

import dtkd_opt as do
from dtkd_opt.federation.calibration import calibration_for
from dtkd_opt.records.instance import Instance
from tests.support.federating import (
    calibration,
)
from tests.support.paths import INSTANCES


def test_instances_of_the_shipped_calibration_carry_it(problem: Instance) -> None:
    shipped, n5 = do.shipped_calibration(), do.read_instance(INSTANCES / "n5.json")
    lower = n5.replace(models=shipped.models_with("lower95"))
    for mine in (n5, lower, do.local_only(n5).instance, do.local_only(lower).instance):
        assert (
            calibration_for(mine, None) is calibration_for(mine, None, "fashion-mnist") is shipped
        )
        assert calibration_for(mine, None, "digits") is None
        given = calibration(problem)
        assert calibration_for(mine, given, "fashion-mnist") is given
    longer = n5.replace(task=n5.task.replace(epochs=41))
    other = problem, longer, n5.replace(models=n5.models[:2])
    for foreign in (*other, *(do.local_only(one).instance for one in other)):
        assert calibration_for(foreign, None, "fashion-mnist") is None


def test_baselines_without_a_calibration_have_the_shipped_ones_accuracies() -> None:
    shipped, n5 = do.shipped_calibration(), do.read_instance(INSTANCES / "n5.json")
    plans = [do.local_only(n5, one).solution.users.accuracy for one in (None, shipped)]
    assert plans[0].tolist() == plans[1].tolist()
    found, wanted = (do.plan_fedavg(n5, one) for one in (None, shipped))
    assert (found.student, found.objective) == (wanted.student, wanted.objective)

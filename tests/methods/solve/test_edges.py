"""Small instances that were once solved wrongly or not at all, with their right values.

The values are of an independent derivation; each file stands for a kind: signal-to-noise ratios far
beyond radio's, prices over many decades, deadlines that can only just be met, one user at servers
that differ by many decades, a pool a thousand times too large, equal users at equal servers.
"""

from __future__ import annotations

import pytest

import dtkd_opt as do
from tests.support.instances import small_instance, user
from tests.support.paths import DATA

CASES = {
    "high-snr-low-noise": 27.302244,
    "price-master-unbounded": 6166668.876,
    "deadline-c223": 0.0214535560,
    "deadline-c589": 0.4159959206,
    "exact-stalled-1-user": 41.2557947,
    "wide-downlink": 17.1738912931,
    "ident7s3b": 18.4461191182,
}
SLOW = pytest.mark.slow  # a second or more
METHODS = [
    pytest.param(case, method, marks=SLOW if case in ("deadline-c589", "ident7s3b") else ())
    for case in CASES
    for method in ("price", "exact")
]


def instance_of(case: str) -> do.Instance:
    return do.read_instance(DATA / "edge" / f"{case}.json")


@pytest.mark.parametrize(("case", "method"), METHODS)
def test_both_provers_reach_the_right_value(case: str, method: str) -> None:
    instance = instance_of(case)
    result = do.solve(instance, method)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(CASES[case], rel=1.1e-6)
    assert result.objective <= CASES[case] * (1 + 1e-7)
    assert do.check(instance, result) == []


@pytest.mark.parametrize("case", [case for case in CASES if case != "ident7s3b"])
def test_the_certificate_holds(case: str) -> None:
    pytest.importorskip("flint")
    instance = instance_of(case)
    certificate = do.certify(instance, do.solve(instance))
    assert certificate.gap <= 1e-6
    assert certificate.bound <= CASES[case] * (1 + 1e-7)
    assert do.verify(instance, certificate) == []
    assert do.verify(instance, certificate, arithmetic="arrays") == []


# --- kinds that a reader found


@pytest.mark.parametrize("joules", [1e6, 1e12, 1e30])
def test_a_loose_budget_changes_nothing(joules: float) -> None:
    """HiGHS took no row of the model where one had a coefficient beyond all measure."""
    instance = do.generate_instance(5, 2, seed=1)
    users = [user.replace(energy_j=joules, deadline_s=1e30) for user in instance.users]
    best = do.solve(instance).objective
    result = do.solve(instance.replace(users=users), do.Exact(fixing=False))
    assert result.status == "optimal"
    assert result.objective == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("room", [1e-10, 8e-10, 3e-9])
def test_a_deadline_of_which_the_pools_get_next_to_nothing(room: float) -> None:
    """A device's second of training, and a download of `room` seconds that just fits."""
    urgent = user("urgent", samples=1000, fresh_fraction=0.0, cpu_hz=1e9)
    slow = user("slow", samples=100_000, fresh_fraction=0.0, cpu_hz=1e11)
    instance = small_instance(urgent, slow)
    student = instance.models[0].replace(cycles_per_sample=2e5)
    instance = instance.replace(models=[student])  # a second on the urgent user's device
    options = do.build_options(instance)
    download_s = (options.downlink_work / options.capacity[1, options.server])[0]
    task = instance.task.replace(bits_per_label=instance.task.bits_per_label * room / download_s)
    users = [urgent.replace(deadline_s=1.0 + 2 * room), slow]
    instance = instance.replace(task=task, users=users)
    proven, alone = do.solve(instance, "price"), do.solve(instance, do.Exact(fixing=False))
    assert proven.status == alone.status == "optimal"
    assert alone.bound <= proven.objective * (1 + 1e-9)


@pytest.mark.parametrize("error", [1e-3, 1e-8, 1e-12])
def test_accuracies_next_to_one(error: float) -> None:
    """ρ (1 - a) has few digits there: bounds stay below plans, and certificates verify."""
    pytest.importorskip("flint")
    instance = do.generate_instance(4, seed=2).replace(seconds_per_error=1e20)
    models = [
        model.replace(accuracy=do.AccuracyTable(samples=(10, 10_000), device=(0.9, 1 - error),
                                                server=(0.9, 1 - error / 3)))
        for model in instance.models
    ]  # fmt: skip
    instance = instance.replace(models=models)
    result = do.solve(instance)
    assert result.bound < result.objective
    assert do.verify(instance, do.certify(instance, result)) == []

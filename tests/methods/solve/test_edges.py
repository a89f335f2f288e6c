"""Small instances that were once solved wrongly or not at all, with their right values.

The values are of an independent derivation; each file stands for a kind: signal-to-noise ratios far
beyond radio's, prices over many decades, deadlines that can only just be met, one user at servers
that differ by many decades, a pool a thousand times too large, equal users at equal servers.
"""

from __future__ import annotations

import pytest

import dtkd_opt as do
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

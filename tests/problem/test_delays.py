"""Stages of a plan: by hand, and against the equations in plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from dtkd_opt.problem.delays import download_delay, stage_delays, upload_delay
from dtkd_opt.problem.demands import Demands
from dtkd_opt.records.instance import PLACES
from tests.support.equations import figures
from tests.support.instances import small_instance, user

INSTANCE = small_instance(user("a"), user("b", samples=700), user("c", fresh_fraction=1.0))
# users a and b at servers, c on its device: with all samples fresh it gets no label
CHOSEN = Demands(
    INSTANCE, *(np.array(column) for column in ([0, 1, 2], [0, 1, 0], [1, 1, 0], [0, 1, 0]))
)
UPLINK_HZ, DOWNLINK_HZ = np.array([3e5, 2e6, 0.0]), np.array([1e6, 2e6, 5e5])
CPU_HZ = np.array([2e9, 8e9, 1e9])


def test_stages_of_a_server_and_of_a_device_by_hand() -> None:
    """At the server 100 samples are labelled, 400 trained on; the device only trains."""
    stages = stage_delays(CHOSEN, UPLINK_HZ, DOWNLINK_HZ, CPU_HZ)
    assert stages.label[0] == pytest.approx(100 * 7.5e7 / 2e9, rel=1e-12)
    assert stages.train[0] == pytest.approx(5 * 400 * 4e4 / 2e9, rel=1e-12)
    assert (stages.upload[2], stages.label[2], stages.download[2]) == (0, 0, 0)
    assert stages.train[2] == pytest.approx(0.08, rel=1e-12)


def test_stages_are_those_of_the_equations() -> None:
    stages = stage_delays(CHOSEN, UPLINK_HZ, DOWNLINK_HZ, CPU_HZ)
    for k, n in enumerate(CHOSEN.user):
        place, server = PLACES[CHOSEN.place[k]], int(CHOSEN.server[k])
        shares = (float(column[k]) for column in (UPLINK_HZ, DOWNLINK_HZ, CPU_HZ))
        exact = figures(INSTANCE, int(n), int(CHOSEN.model[k]), place, server, *shares)
        assert stages.upload[k] == pytest.approx(exact.upload_s, rel=1e-12)
        assert stages.download[k] == pytest.approx(exact.download_s, rel=1e-12)
        assert stages.label[k] + stages.train[k] == pytest.approx(exact.compute_s, rel=1e-12)
        assert stages.total()[k] == pytest.approx(exact.delay_s, rel=1e-12)


def test_without_a_share_what_must_be_sent_takes_forever() -> None:
    nothing = np.zeros(3)
    assert upload_delay(CHOSEN, nothing, CHOSEN.upload_bits()).tolist() == [np.inf, np.inf, 0]
    assert download_delay(CHOSEN, nothing).tolist() == [np.inf, np.inf, 0]


def test_many_shares_at_once() -> None:
    bits, shares = CHOSEN.upload_bits(), np.outer([0.5, 1.0], [3e5, 2e6, 1e6])
    both = upload_delay(CHOSEN, shares, bits)
    assert both.tolist() == [upload_delay(CHOSEN, row, bits).tolist() for row in shares]

"""What each option demands, by hand for one user in round numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dtkd_opt.problem.demands import Demands, pool_capacity
from dtkd_opt.problem.options import DEVICE, SERVER
from tests.support.instances import small_instance, user

# 400 samples, a quarter of them fresh, 5 epochs: the small student on the device with the first
# server's labels, and the large one trained at the second server
INSTANCE = small_instance(user("other"), user("u", energy_j=0.3))
DEMANDS = Demands(
    INSTANCE,
    user=np.array([1, 1]),
    model=np.array([0, 1]),
    place=np.array([DEVICE, SERVER]),
    server=np.array([0, 1]),
)


def test_cycles_bits_and_limits_by_hand() -> None:
    assert DEMANDS.training_cycles().tolist() == [5 * 400 * 4e4, 5 * 400 * 3e5]
    assert DEMANDS.labelling_cycles().tolist() == [0, 100 * 7.5e7]
    assert DEMANDS.server_cycles().tolist() == [0, 7.5e9 + 6e8]
    assert DEMANDS.upload_bits().tolist() == [0, 100 * 6272]
    assert DEMANDS.download_bits().tolist() == [300 * 320, 8e6]
    assert DEMANDS.uplink_snr_hz() == pytest.approx([5e8, 1.5e8], rel=1e-12)
    assert DEMANDS.uplink_limit_s() == pytest.approx([math.inf, 1.5], rel=1e-12)
    efficiency = [math.log2(1 + 20 * gain / (4e-21 * 2e6)) for gain in (1e-11, 3e-12)]
    assert DEMANDS.downlink_efficiency() == pytest.approx(efficiency, rel=1e-12)
    work = [96_000 / efficiency[0], 8e6 / efficiency[1]]
    assert DEMANDS.downlink_work() == pytest.approx(work, rel=1e-12)
    assert DEMANDS.accuracy() == pytest.approx([0.7 + 0.1 * math.log10(4), 0.8], rel=1e-12)


def test_an_energy_budget_slows_the_device_down_and_not_the_server() -> None:
    assert DEMANDS.device_hz().tolist() == [1.2e9, 0]  # 0.3 J would do for 6 GHz
    hungry = DEMANDS.max_device_hz(np.array([1e-3, 1e-3]))
    assert hungry == pytest.approx(np.sqrt(1e-3 / (1e-28 * np.array([8e7, 6e8]))), rel=1e-12)
    assert DEMANDS.device_delay_s(np.array([1e9, 1e9])) == pytest.approx([0.08, 0], rel=1e-12)


def test_an_unreachable_server_has_gain_0() -> None:
    lonely = small_instance(user("u", channel_gain=(1e-11, None)))
    both = Demands(lonely, *(np.array(pair) for pair in ([0, 0], [0, 0], [1, 1], [0, 1])))
    assert both.gain().tolist() == [1e-11, 0]


def test_selected_entries_keep_their_demands() -> None:
    second = DEMANDS.select(np.array([1]))
    assert second.server_cycles().tolist() == DEMANDS.server_cycles()[1:].tolist()
    assert second.on_server.tolist() == [True]


def test_pools_are_those_of_the_servers() -> None:
    assert pool_capacity(INSTANCE).tolist() == [[1e6, 3e6], [2e6, 2e6], [8e9, 8e9]]

"""Servers by falling signal-to-noise ratio."""

from __future__ import annotations

import numpy as np

from dtkd_opt.problem.server_ranking import server_ranks, strongest_servers
from tests.support.options import random_options


def test_of_many_servers_the_strongest_count() -> None:
    options = random_options(6, 8, 1)
    servers = strongest_servers(options, 2)
    for n in range(6):
        own = options.user == n
        best = dict(zip(options.server[own], options.uplink_snr_hz[own], strict=True))
        ranked = sorted(best, key=lambda s: -best[s])[:2]
        assert [s for s in servers[n] if s >= 0] == ranked


def test_a_rank_is_the_number_of_servers_that_are_heard_better() -> None:
    options = random_options(5, 4, 2)
    order, rank = server_ranks(options)
    assert sorted(order) == list(range(len(options)))
    assert (np.diff(options.user[order]) >= 0).all()
    for k, found in zip(order, rank, strict=True):
        own = options.user == options.user[k]
        better = own & (options.uplink_snr_hz > options.uplink_snr_hz[k])
        assert found == len(set(options.server[better]))

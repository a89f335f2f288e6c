"""Servers by falling signal-to-noise ratio."""

from __future__ import annotations

from dtkd_opt.problem.server_ranking import strongest_servers
from tests.support.options import random_options


def test_of_many_servers_the_strongest_count() -> None:
    options = random_options(6, 8, 1)
    servers = strongest_servers(options, 2)
    for n in range(6):
        own = options.user == n
        best = dict(zip(options.server[own], options.uplink_snr_hz[own], strict=True))
        ranked = sorted(best, key=lambda s: -best[s])[:2]
        assert [s for s in servers[n] if s >= 0] == ranked

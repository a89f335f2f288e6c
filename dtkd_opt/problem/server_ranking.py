"""The servers that each user has options with, by falling signal-to-noise ratio."""

from __future__ import annotations

import numpy as np

from dtkd_opt.problem.options import Options
from dtkd_opt.records.arrays import Index


def server_ranks(options: Options) -> tuple[Index, Index]:
    """(K,) rows by user and falling signal-to-noise ratio of the server, and its rank there."""
    order = np.lexsort((options.server, -options.uplink_snr_hz, options.user))
    user, server = options.user[order], options.server[order]
    new = np.append(True, (user[1:] != user[:-1]) | (server[1:] != server[:-1]))
    number = np.cumsum(new)
    return order, number - number[options.start[user]]


def strongest_servers(options: Options, count: int) -> Index:
    """(N, count) servers of each user, best first; -1 where it has fewer."""
    order, rank = server_ranks(options)
    order, rank = order[rank < count], rank[rank < count]
    servers = np.full((options.n_users, count), -1)
    servers[options.user[order], rank] = options.server[order]
    return servers

"""Which servers users have options with, the one that they hear best first."""

from __future__ import annotations

import numpy as np

from dtkd_opt.problem.options import OptionTable
from dtkd_opt.problem.physics import Index


def server_ranks(table: OptionTable) -> tuple[Index, Index]:
    """(K,) rows by user and falling signal-to-noise ratio of the server, and its rank there."""
    order = np.lexsort((table.server, -table.uplink_snr_hz, table.user))
    user, server = table.user[order], table.server[order]
    new = np.append(True, (user[1:] != user[:-1]) | (server[1:] != server[:-1]))
    number = np.cumsum(new)
    return order, number - number[table.start[user]]


def strongest_servers(table: OptionTable, most: int) -> Index:
    """(N, most) servers of each user, best first; -1 where it has fewer."""
    order, rank = server_ranks(table)
    order, rank = order[rank < most], rank[rank < most]
    servers = np.full((table.n_users, most), -1)
    servers[table.user[order], rank] = table.server[order]
    return servers

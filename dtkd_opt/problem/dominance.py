"""Options that no prices and no channel make worth taking.

A user's students at one place and server upload the same and share one spectral efficiency. One
that is no better than another in anything (device delay, error, download, server cycles) costs at
least as much at any prices, and keeps no deadline that the other misses. Channel gains scale the
downloads of both alike: what is dominated once stays so, from one coherence time to the next.
"""

from __future__ import annotations

import numpy as np

from dtkd_opt.problem.options import OptionTable
from dtkd_opt.problem.physics import Index


def undominated(table: OptionTable) -> Index:
    """Rows of the options that no other of the same user, place and server is as good as.

    Of equal options the first stays.
    """
    group = np.array([table.user, table.place, table.server])
    worth = np.array(
        [table.device_delay_s, table.error_cost_s, table.downlink_work, table.server_cycles]
    )
    dominated = np.zeros(len(table), bool)
    for step in range(1, len(table)):
        same = (group[:, step:] == group[:, :-step]).all(axis=0)
        if not same.any():
            break
        first, second = worth[:, :-step], worth[:, step:]
        dominated[step:] |= same & (first <= second).all(axis=0)
        dominated[:-step] |= same & (second <= first).all(axis=0) & (second < first).any(axis=0)
    return np.flatnonzero(~dominated)

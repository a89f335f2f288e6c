"""Options that are optimal at no prices and in no channel.

A user's students at one place and server upload the same and share one spectral efficiency. One
that is no better than another in anything (device delay, error, download, server cycles) costs at
least as much at any prices, and keeps no deadline that the other misses. Channel gains scale the
downloads of both alike: what is dominated once stays so, from one coherence time to the next.
"""

from __future__ import annotations

import numpy as np

from dtkd_opt.problem.options import Options
from dtkd_opt.records.arrays import Index


def undominated(options: Options) -> Index:
    """Rows of the options that no other of the same user, place and server is as good as.

    Of equal options the first stays.
    """
    group = np.array([options.user, options.place, options.server])
    criteria = np.array(
        [options.device_delay_s, options.error_cost_s, options.downlink_work, options.server_cycles]
    )
    dominated = np.zeros(len(options), bool)
    for step in range(1, len(options)):
        same = (group[:, step:] == group[:, :-step]).all(axis=0)
        if not same.any():
            break
        first, second = criteria[:, :-step], criteria[:, step:]
        dominated[step:] |= same & (first <= second).all(axis=0)
        dominated[:-step] |= same & (second <= first).all(axis=0) & (second < first).any(axis=0)
    return np.flatnonzero(~dominated)

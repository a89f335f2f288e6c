"""Re-planning: the same users with new channel gains, from one coherence time to the next."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from dtkd_opt.errors import InfeasibleError, InputError
from dtkd_opt.methods.result import Result
from dtkd_opt.methods.solve import solve
from dtkd_opt.methods.stop import Callback, check_limits
from dtkd_opt.problem.demands import Demands
from dtkd_opt.problem.dominance import undominated
from dtkd_opt.problem.options import Options, build_options
from dtkd_opt.records.arrays import Array, as_numbers
from dtkd_opt.records.instance import Instance, as_instance


class Planner:
    """Solves an instance again and again with new channel gains, each time from a warm start.

    It keeps the prices of the last plan, where the next search starts, and the options that some
    channel may make optimal (:mod:`dtkd_opt.problem.dominance`), with all of them that does not
    depend on the channel.

    Parameters
    ----------
    instance
        The users, servers and models; its gains are those of the first plan.
    gap
        Relative gap that each plan is proven to.

    Examples
    --------
    >>> planner = Planner(instance, gap=1e-4)
    >>> result = planner.solve()
    >>> result = planner.solve(new_gains)  # (N, S), NaN where out of reach
    """

    def __init__(self, instance: Instance, *, gap: float = 1e-4):
        self.gap = check_limits(gap, None).gap
        self._prices: Array | None = None
        # one value, so that threads find the options of the instance beside it
        self._problem: tuple[Instance, Options | None] = (as_instance(instance), None)

    @property
    def instance(self) -> Instance:
        """The instance, with the gains of the last plan."""
        return self._problem[0]

    def __repr__(self) -> str:
        return f"<Planner of {self.instance!r}, gap {self.gap:g}>"

    def solve(
        self,
        channel_gain: Array | None = None,
        *,
        time_limit: float | None = None,
        callback: Callback | None = None,
    ) -> Result:
        """Plan for new gains, or first for the instance's own.

        Parameters
        ----------
        channel_gain
            (N, S) linear power gains, NaN where a user does not reach a server; None to keep them.
        time_limit, callback
            As of :func:`solve`.

        Raises
        ------
        InputError
            When gains are negative, of another shape, or leave a user without any server.
        """
        from dtkd_opt.methods.price import Price  # solvers, only when used

        instance, options = self._problem
        if channel_gain is not None:
            instance, options = _with_gains(instance, options, channel_gain)
        if options is None:
            with suppress(InfeasibleError):  # `solve` explains it
                every_option = build_options(instance)
                options = every_option.select_rows(undominated(every_option))
        self._problem = instance, options
        result = solve(
            instance,
            Price(start=self._prices),
            gap=self.gap,
            time_limit=time_limit,
            callback=callback,
            options=options,
        )
        if result.prices is not None and (result.prices > 0).any():
            self._prices = result.prices
        return result


def _with_gains(
    old: Instance, options: Options | None, channel_gain: Any
) -> tuple[Instance, Options | None]:
    """An instance with new gains, and its options if users can choose the same as before."""
    users = old.users
    gain = as_numbers(channel_gain, "channel_gain", len(users), None, null=np.nan)
    try:
        new = old.replace(users=users.replace(channel_gain=gain))
    except InputError as error:
        raise InputError("channel_gain", error.faults) from None
    same_reach = np.array_equal(np.isnan(new.users.channel_gain), np.isnan(users.channel_gain))
    if options is None or not same_reach or _depends_on_gains(old):
        return new, None
    demands = Demands(new, options.user, options.model, options.place, options.server)
    return new, replace(
        options,
        uplink_snr_hz=demands.uplink_snr_hz(),
        downlink_work=demands.downlink_work(),
    )


def _depends_on_gains(instance: Instance) -> bool:
    """Whether which options there are depends on the gains: by limits, or by a best server."""
    users = instance.users
    constrained = np.isfinite(users.deadline_s) | np.isfinite(users.energy_j)
    return bool((constrained | (users.fresh_fraction == 1)).any())

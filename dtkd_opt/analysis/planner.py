"""Re-planning: the same users with new channel gains, from one coherence time to the next."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np

from dtkd_opt.errors import InfeasibleError, InputError
from dtkd_opt.methods.result import Result
from dtkd_opt.methods.solve import solve
from dtkd_opt.methods.stop import Callback, check_limits
from dtkd_opt.problem.demands import Demands
from dtkd_opt.problem.dominance import undominated
from dtkd_opt.problem.options import Options, build_options
from dtkd_opt.records.arrays import Array
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
        check_limits(gap, None)
        self.instance, self.gap = as_instance(instance), gap
        self._prices: Array | None = None
        self._options: Options | None = None

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

        if channel_gain is not None:
            self._set_gains(np.asarray(channel_gain, float))
        if self._options is None:
            with suppress(InfeasibleError):  # `solve` explains it
                options = build_options(self.instance)
                self._options = options.select_rows(undominated(options))
        result = solve(
            self.instance,
            Price(start=self._prices),
            gap=self.gap,
            time_limit=time_limit,
            callback=callback,
            options=self._options,
        )
        if result.prices is not None and (result.prices > 0).any():
            self._prices = result.prices
        return result

    def _set_gains(self, gain: Array) -> None:
        """The instance with new gains, and its options if users can choose the same as before."""
        old, users = self.instance, self.instance.users
        if gain.ndim != 2 or len(gain) != len(users):
            raise InputError("channel_gain", [f"must have {len(users)} rows, got {gain.shape}"])
        new = users.replace(channel_gain=gain)
        try:
            self.instance = old.replace(users=new)
        except InputError as error:
            raise InputError("channel_gain", error.faults) from None
        same_reach = np.array_equal(np.isnan(gain), np.isnan(users.channel_gain))
        if self._options is None or not same_reach or _depends_on_gains(old):
            self._options = None
        else:
            kept = self._options
            demands = Demands(self.instance, kept.user, kept.model, kept.place, kept.server)
            self._options = replace(
                kept,
                uplink_snr_hz=demands.uplink_snr_hz(),
                downlink_work=demands.downlink_work(),
            )


def _depends_on_gains(instance: Instance) -> bool:
    """Whether which options there are depends on the gains: by limits, or by a best server."""
    users = instance.users
    constrained = np.isfinite(users.deadline_s) | np.isfinite(users.energy_j)
    return bool((constrained | (users.fresh_fraction == 1)).any())

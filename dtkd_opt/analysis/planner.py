"""Re-planning: the same users, whose channels change from one coherence time to the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from dtkd_opt.errors import InfeasibleError, InputError
from dtkd_opt.methods.search import Callback
from dtkd_opt.methods.solve import Result, solve
from dtkd_opt.problem.choices import Choices
from dtkd_opt.problem.dominance import undominated
from dtkd_opt.problem.options import Options, build_options
from dtkd_opt.problem.physics import Array
from dtkd_opt.records.files import fault_lines
from dtkd_opt.records.instance import Instance


class Planner:
    """Solves an instance again and again with new channel gains, each time from what it knows.

    It keeps the prices of the last plan, where the next search starts, the options that some
    channel may make worth taking (:mod:`dtkd_opt.problem.dominance`), and of them all that does not
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
        self.instance, self.gap = instance, gap
        self._prices: Array | None = None
        self._table: Options | None = None

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
        from dtkd_opt.methods.price import PriceParams  # solvers, only when used

        if channel_gain is not None:
            self._take(np.asarray(channel_gain, float))
        if self._table is None:
            self._table = _screened(self.instance)
        params: Any = PriceParams(start=self._prices)
        result = solve(
            self.instance,
            "price",
            gap=self.gap,
            time_limit=time_limit,
            params=params,
            callback=callback,
            options=self._table,
        )
        if result.incumbent is not None and (result.incumbent.prices > 0).any():
            self._prices = result.incumbent.prices
        return result

    def _take(self, gain: Array) -> None:
        """The instance with new gains, and its table if what users can choose stays the same."""
        old, users = self.instance, self.instance.users
        new = users.replace(channel_gain=gain)
        try:
            self.instance = Instance.model_validate({**dict(old), "users": new})
        except ValidationError as error:
            raise InputError("channel_gain", fault_lines(error)) from None
        same_reach = np.array_equal(np.isnan(gain), np.isnan(users.channel_gain))
        if self._table is None or not same_reach or _depends_on_gains(old):
            self._table = None
        else:
            self._table = _with_gains(self._table, self.instance)


def _screened(instance: Instance) -> Options | None:
    """The options that may be worth taking; None where a user has none, which `solve` explains."""
    try:
        options = build_options(instance)
    except InfeasibleError:
        return None
    return options.take(undominated(options))


def _depends_on_gains(instance: Instance) -> bool:
    """Whether which options there are depends on the gains: by limits, or by a best server."""
    users = instance.users
    limited = np.isfinite(users.deadline_s) | np.isfinite(users.energy_j)
    return bool((limited | (users.fresh_fraction == 1)).any())


def _with_gains(options: Options, instance: Instance) -> Options:
    """The table with what follows from the gains computed anew."""
    chosen = Choices(instance, options.user, options.model, options.place, options.server)
    return replace(
        options,
        uplink_snr_hz=chosen.uplink_snr_hz(),
        downlink_work=chosen.download_bits() / chosen.downlink_efficiency(),
    )

"""The best prices: cutting planes in a concave master, best steps first."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from dtkd_opt.pricing.equal_shares import first_prices
from dtkd_opt.pricing.lagrangian import DualPoint, Lagrangian
from dtkd_opt.pricing.masters import make_bundle
from dtkd_opt.problem.options import Options
from dtkd_opt.records.arrays import Array

MAX_STEPS = 600
LARGE = 300_000  # options; beyond it only what is left after screening is priced again and again
BOX_WIDTH = 0.2  # relative half-width of the prices' box that options are screened for
_MAX_BOX_WIDTH = 0.6


def maximise_bound(
    options: Options,
    start: Array | None = None,
    *,
    tolerance: float = 1e-9,
    max_steps: int = MAX_STEPS,
    ends_at: float = np.inf,
    target: float = np.inf,
    callback: Callable[[DualPoint], None] | None = None,
    on_failure: Callable[[str], None] | None = None,
) -> DualPoint:
    """The best prices found, and with them the best bound.

    Parameters
    ----------
    options
        The options of all users.
    start
        (3, S) first prices; zeros are raised to a small positive value. By default those of equal
        shares, and where there are many options the best prices of some of the users.
    tolerance
        Stop when the cutting-plane model predicts no larger gain than this, relative to |L|.
    max_steps, ends_at
        Other ends: steps after the first point, a `time.monotonic()` value. The bound stays valid.
    target
        Stop at a bound L of at least this.
    callback
        Called with every point evaluated: each is a valid bound and suggests a choice.
    on_failure
        Called, in words, with what made a master fail; a simpler step took its place.
    """
    if len(options) > LARGE:
        return _maximise_large(
            options, start, tolerance, max_steps, ends_at, target, callback, on_failure
        )
    bundle = make_bundle(Lagrangian(options), first_prices(options) if start is None else start)
    for step in range(max_steps + 1):
        if callback is not None:
            callback(bundle.last)
        if step == max_steps or time.monotonic() > ends_at or bundle.best.value >= target:
            break
        if not bundle.advance(tolerance):
            break
    bundle.report_failures(on_failure)
    return bundle.best


def _maximise_large(
    options: Options,
    start: Array | None,
    tolerance: float,
    max_steps: int,
    ends_at: float,
    target: float,
    callback: Callable[[DualPoint], None] | None,
    on_failure: Callable[[str], None] | None,
) -> DualPoint:
    """The best prices of many options, mostly found on a small part of them.

    A sample of the users, with pools in proportion, shows roughly where the prices are. In a box
    around them most options can be no user's cheapest and are screened out; the rest is priced,
    and at its best point all options once more. The box moves and grows until it holds that point.
    """
    if start is None:
        sample = options.subsample(-(-len(options) // LARGE))
        point = maximise_bound(sample, tolerance=tolerance, ends_at=ends_at, on_failure=on_failure)
        start = point.prices
    lagrangian = Lagrangian(options)
    width = BOX_WIDTH
    best: DualPoint | None = None
    while True:
        values = start * options.capacity
        centre = np.maximum(values, 1e-9 * values.sum()) / options.capacity  # none is zero
        low, high = centre * (1 - width), centre * (1 + width)
        screened = options.select_rows(lagrangian.screen(low, high))
        bundle = make_bundle(Lagrangian(screened), centre)
        for _ in range(max_steps):
            if time.monotonic() > ends_at or not bundle.advance(tolerance):
                break
        bundle.report_failures(on_failure)
        optimum = bundle.best.prices
        start = np.clip(optimum, low, high)  # beyond, options are missing that may be cheaper there
        point = lagrangian.at(start)
        if callback is not None:
            callback(point)
        best = point if best is None or point.value > best.value else best
        inside = np.array_equal(start, optimum)
        if inside or best.value >= target or time.monotonic() > ends_at:
            return best
        width = min(2 * width, _MAX_BOX_WIDTH)

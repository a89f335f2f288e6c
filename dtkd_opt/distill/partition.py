"""Private samples of users: drawn alike for all, or with classes that differ by user."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.records.arrays import Index, Mask


def concentration(partition: str) -> float | None:
    """None for `iid`, α for `dirichlet(α)`; UsageError for anything else."""
    if partition == "iid":
        return None
    match = re.fullmatch(r"dirichlet\(((\d+\.?\d*|\.\d+)(e[+-]?\d+)?)\)", partition, re.ASCII)
    alpha = float(match[1]) if match else 0.0
    if not 1e-3 <= alpha <= 1e6:
        raise UsageError(f"partition must be iid or dirichlet(0.5) or the like, got {partition}")
    return alpha


def draw_private(labels: Index, pool: Index, samples: int, partition: str, seed: int) -> Index:
    """One user's private samples.

    Parameters
    ----------
    labels
        (n,) classes of all samples.
    pool
        Positions that may be drawn: the training split.
    samples
        How many. Of one seed and `iid`, the smaller set is the beginning of the larger one.
    partition
        `iid`, or `dirichlet(α)`: the classes' shares are drawn from a Dirichlet distribution with
        all parameters α (Hsu, Qi, Brown, "Measuring the effects of non-identical data
        distribution for federated visual classification", 2019).
    seed
        Same seed, same samples.

    Returns
    -------
    (samples,) positions, in random order.

    Raises
    ------
    InputError
        When there are fewer samples, or a class is empty that the training needs: what is measured
        with `iid` samples stands for users that have all classes.
    """
    drawn = split_private(labels, pool, [samples], partition, seed)[0]
    fault = one_class_fault(labels, drawn, partition)
    if not fault and concentration(partition) is None:
        counts = np.bincount(labels[drawn], minlength=labels.max() + 1)
        if counts.min() == 0:
            fault = f"class {counts.argmin()} has none of the {samples} samples; take more"
    if fault:
        raise InputError("partition", [fault])
    return drawn


def split_private(
    labels: Index, pool: Index, sizes: Sequence[int], partition: str, seed: int
) -> list[Index]:
    """Disjoint private samples of several users, as many as `sizes` says, of whatever classes.

    The other parameters are those of :func:`draw_private`; InputError when there are fewer samples.
    """
    alpha = concentration(partition)
    if min(sizes) < 1 or sum(sizes) > len(pool):
        fault = f"must be between 1 and {len(pool)} (of all users), got {sum(sizes)}"
        raise InputError("samples", [fault])
    rng = np.random.default_rng([seed, 1])
    remaining, parts = rng.permutation(pool), []
    for size in sizes:
        if alpha is not None:
            shares = rng.dirichlet(np.full(int(labels.max()) + 1, alpha))
            remaining = _order(labels, remaining, rng.multinomial(size, shares))
        part, remaining = remaining[:size], remaining[size:]
        parts.append(part if alpha is None else rng.permutation(part))
    return parts


def _order(labels: Index, rows: Index, counts: Index) -> Index:
    """The same rows, first the first ones of each class, as many as `counts` (K,) says."""
    classes = labels[rows]
    order = np.argsort(classes, kind="stable")
    rank = np.empty(len(rows), int)  # of each sample within its class
    rank[order] = np.arange(len(rows)) - np.searchsorted(classes[order], classes[order])
    return rows[np.argsort(rank >= counts[classes], kind="stable")]


def one_class_fault(labels: Index, drawn: Index, partition: str) -> str:
    """Why training with a private set is idle, as it has one class only; empty where it has more.

    Parameters
    ----------
    labels, drawn, partition
        (n,) classes of all samples, positions of the private ones, and how they were drawn.
    """
    if len(np.unique(labels[drawn])) > 1:
        return ""
    hint = "take more" if concentration(partition) is None else "take more, or a larger α"
    return f"{len(drawn)} samples of one class teach nothing; {hint}"


def mirrored(samples: int, fresh_fraction: float) -> Mask:
    """(samples,) which samples the twin has; the first round(φ D) are fresh, at random places."""
    fresh = round(fresh_fraction * samples)
    return np.arange(samples) >= fresh

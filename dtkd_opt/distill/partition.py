"""Private samples of users: drawn alike for all, or with classes that differ by user."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.physics import Array, Index


def concentration(partition: str) -> float | None:
    """None for `iid`, α for `dirichlet(α)`; UsageError for anything else."""
    if partition == "iid":
        return None
    found = re.fullmatch(r"dirichlet\(([0-9.]+(?:e[+-]?[0-9]+)?)\)", partition)
    try:
        alpha = float(found[1]) if found else 0.0
    except ValueError:
        alpha = 0.0
    if not 1e-3 <= alpha <= 1e6:
        raise UsageError(f"partition must be iid or dirichlet(0.5) or the like, got {partition}")
    return alpha


def draw_private(
    labels: NDArray[np.int64], pool: Index, samples: int, partition: str, seed: int
) -> Index:
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
        When there are fewer samples, or a class is empty that the training needs.
    """
    alpha = concentration(partition)
    if not 1 <= samples <= len(pool):
        raise InputError("samples", [f"must be between 1 and {len(pool)}, got {samples}"])
    rng = np.random.default_rng([seed, 1])
    order = rng.permutation(pool)
    if alpha is not None:
        share = rng.dirichlet(np.full(labels.max() + 1, alpha))
        order = _take(labels, order, rng.multinomial(samples, share), samples)
        order = rng.permutation(order)
    drawn: Index = order[:samples]
    check_classes(labels, drawn, alpha)
    return drawn


def split_private(
    labels: NDArray[np.int64], pool: Index, sizes: Index, partition: str, seed: int
) -> list[Index]:
    """Disjoint private samples of (N,) `sizes` for N users; see :func:`draw_private`."""
    alpha = concentration(partition)
    if sizes.min() < 1 or sizes.sum() > len(pool):
        fault = f"must be at least 1 each and {len(pool)} in all, got {sizes.sum()}"
        raise InputError("samples", [fault])
    rng = np.random.default_rng([seed, 1])
    left, found = rng.permutation(pool), []
    for size in sizes:
        drawn = left[:size]
        if alpha is not None:
            share = rng.dirichlet(np.full(labels.max() + 1, alpha))
            drawn = rng.permutation(_take(labels, left, rng.multinomial(size, share), size))
            left = left[~np.isin(left, drawn)]
        else:
            left = left[size:]
        check_classes(labels, drawn, alpha)
        found.append(drawn)
    return found


def _take(labels: NDArray[np.int64], order: Index, wanted: Index, samples: int) -> Index:
    """The first `wanted` (K,) samples of each class; what a class lacks, the next ones give."""
    kinds = labels[order]
    rank = np.empty(len(order), int)  # of each sample within its class
    for kind in range(len(wanted)):
        rank[kinds == kind] = np.arange(np.count_nonzero(kinds == kind))
    first = rank < wanted[kinds]
    taken: Index = np.concatenate([order[first], order[~first]])[:samples]
    return taken


def check_classes(labels: NDArray[np.int64], drawn: Index, alpha: float | None) -> None:
    """InputError where a private set lacks the classes without which its training is idle."""
    counts = np.bincount(labels[drawn], minlength=labels.max() + 1)
    if np.count_nonzero(counts) < 2:
        fault = f"{len(drawn)} samples of one class teach nothing; take more, or a larger α"
        raise InputError("partition", [fault])
    if alpha is None and counts.min() == 0:
        fault = f"class {counts.argmin()} has none of the {len(drawn)} samples; take more"
        raise InputError("partition", [fault])


def mirrored(samples: int, fresh_fraction: float) -> NDArray[np.bool_]:
    """(samples,) which samples the twin has; the first round(φ D) are fresh, at random places."""
    fresh = round(fresh_fraction * samples)
    return np.arange(samples) >= fresh


def class_shares(labels: NDArray[np.int64], drawn: Index) -> Array:
    """(K,) share of each class among the drawn samples."""
    counts = np.bincount(labels[drawn], minlength=labels.max() + 1)
    shares: Array = counts / len(drawn)
    return shares

"""Private samples of users: drawn alike for all, or with classes that differ by user."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.problem.physics import Index


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
    return split_private(labels, pool, [samples], partition, seed)[0]


def split_private(
    labels: NDArray[np.int64], pool: Index, sizes: Sequence[int], partition: str, seed: int
) -> list[Index]:
    """Disjoint private samples of several users, as many as `sizes` says.

    The other parameters and the errors are those of :func:`draw_private`.
    """
    alpha = concentration(partition)
    if min(sizes) < 1 or sum(sizes) > len(pool):
        fault = f"must be between 1 and {len(pool)} (of all users), got {sum(sizes)}"
        raise InputError("samples", [fault])
    rng = np.random.default_rng([seed, 1])
    left, found = rng.permutation(pool), []
    for size in sizes:
        wanted = None if alpha is None else _wanted(alpha, int(labels.max()) + 1, size, rng)
        drawn, left = _take(labels, left, size, wanted)
        found.append(drawn if wanted is None else rng.permutation(drawn))
        _check_classes(labels, drawn, alpha)
    return found


def _wanted(alpha: float, classes: int, size: int, rng: np.random.Generator) -> Index:
    """(K,) samples of each class, by shares from a Dirichlet distribution."""
    wanted: Index = rng.multinomial(size, rng.dirichlet(np.full(classes, alpha)))
    return wanted


def _take(
    labels: NDArray[np.int64], left: Index, size: int, wanted: Index | None
) -> tuple[Index, Index]:
    """The first `size` samples that are left, as many of each class as `wanted`, and the others.

    What a class has too few of, the first ones of other classes make up for.
    """
    if wanted is not None:
        kinds = labels[left]
        order = np.argsort(kinds, kind="stable")
        rank = np.empty(len(left), int)  # of each sample within its class
        rank[order] = np.arange(len(left)) - np.searchsorted(kinds[order], kinds[order])
        left = left[np.argsort(rank >= wanted[kinds], kind="stable")]
    return left[:size], left[size:]


def _check_classes(labels: NDArray[np.int64], drawn: Index, alpha: float | None) -> None:
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

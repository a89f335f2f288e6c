"""Trees of cases: what each leaf leaves to whom, and what it may claim."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.problem.options import Options
from dtkd_opt.proof.verify import verify
from dtkd_opt.proof.verify.tree import leaf_sums, parents_of
from dtkd_opt.records.arrays import Array
from dtkd_opt.records.certificate import LeafNode, Node, SplitNode
from dtkd_opt.records.instance import PLACES
from tests.support.certificates import (
    incumbent_of,
    make_certificate,
    root_certificate,
    tree_certificate,
)
from tests.support.instances import small_instance, user
from tests.support.options import all_choices, mean_objective
from tests.support.verifying import (
    BOTH,
    SEEDS,
    any_prices,
    load,
    odd_instances,
    options_of,
)


def random_tree(
    instance: do.Instance, options: Options, rng: np.random.Generator
) -> tuple[list[Node], list[Array]]:
    """Up to six splits by random lists, also empty ones, and what each node leaves of the table."""
    tree: list[Node] = [LeafNode(prices=0, bound=0.0)]
    left = [np.ones(len(options), bool)]
    for _ in range(rng.integers(0, 7)):
        v = int(rng.choice([v for v, node in enumerate(tree) if isinstance(node, LeafNode)]))
        n = int(rng.integers(options.n_users))
        every = [
            (m, PLACES[p], s)
            for m in range(len(instance.models))
            for p in range(2)
            for s in range(len(instance.servers))
        ]
        drawn = [option for option in every if rng.random() < rng.choice([0.1, 0.5])]
        tree[v] = SplitNode(user=n, options=tuple(drawn), inside=len(tree), outside=len(tree) + 1)
        tree += [LeafNode(prices=0, bound=0.0)] * 2
        keys = zip(options.model, options.place, options.server, strict=True)
        listed = np.array([(m, PLACES[p], s) in drawn for m, p, s in keys])
        left += [
            left[v] & (listed | (options.user != n)),
            left[v] & (~listed | (options.user != n)),
        ]
    return tree, left


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(instance=odd_instances(), seed=SEEDS, arithmetic=st.sampled_from(["balls", "arrays"]))
def test_weak_duality_by_enumeration(instance: do.Instance, seed: int, arithmetic: Any) -> None:
    """At any prices, no leaf of any tree proves more than the best plan that is left to it."""
    rng = np.random.default_rng(seed)
    options = options_of(instance)
    choices = np.array(list(all_choices(options)))
    values = np.array([mean_objective(options, choice) for choice in choices])
    assume(np.isfinite(values).any())
    tree, left = random_tree(instance, options, rng)
    best = [np.where(mask[choices].all(axis=1), values, np.inf).min() for mask in left]
    plan = incumbent_of(instance, options, choices[np.argmin(values)])
    prices = np.array([any_prices(options, rng) for _ in range(3)])
    claims = [
        node if isinstance(node, SplitNode) else LeafNode(prices=int(rng.integers(3)), bound=bound)
        for node, bound in zip(tree, np.where(np.isinf(best), 0.0, best) * (1 + 1e-6), strict=True)
    ]
    faults = verify(
        instance, make_certificate(instance, plan, prices, claims), arithmetic=arithmetic
    )
    for v, node in enumerate(tree):
        if isinstance(node, LeafNode) and best[v] < np.inf and best[v] > 0:
            assert any(fault.startswith(f"tree[{v}]: prices prove only") for fault in faults)


@BOTH
@pytest.mark.parametrize("name", ["n10", "n20-energy", "n10-s3"])
def test_a_bound_a_billionth_higher_is_refused(name: str, arithmetic: Any) -> None:
    instance = load(name)
    certificate = tree_certificate(instance, 4, seed=2)
    for v, node in enumerate(certificate.tree):
        if isinstance(node, LeafNode):
            higher = node.replace(bound=node.bound * (1 + 1e-9))
            tree = (*certificate.tree[:v], higher, *certificate.tree[v + 1 :])
            faults = verify(instance, replace(certificate, tree=tree), arithmetic=arithmetic)
            assert len(faults) == 1
            assert faults[0].startswith(f"tree[{v}]: prices prove only")


@BOTH
def test_an_empty_case_proves_anything(arithmetic: Any) -> None:
    """No option of the list is left to the user: the case holds no plan."""
    instance = load("n5")
    root = root_certificate(instance)
    options = tuple((m, p, 0) for m in range(len(instance.models)) for p in PLACES)
    bound = root.bound
    tree = (
        SplitNode(user=2, options=options, inside=1, outside=2),
        LeafNode(prices=0, bound=bound),
        SplitNode(user=2, options=options, inside=3, outside=4),
        LeafNode(prices=0, bound=1e9),
        SplitNode(user=3, options=options[:1], inside=5, outside=6),
        LeafNode(prices=0, bound=1e9),
        LeafNode(prices=0, bound=1e300),
    )
    assert verify(instance, replace(root, tree=tree), arithmetic=arithmetic) == []


@BOTH
@pytest.mark.parametrize("length", [1000, 20_000])
def test_long_chains(length: int, arithmetic: Any) -> None:
    """One thousand users; a chain of splits, all leaves at the same prices."""
    instance = do.generate_instance(1000, 1, 0)
    root = root_certificate(instance)
    tree: list[Node] = []
    leaf = root.tree[0]
    for k in range(length):
        option = (k // 1000 % 6, "device", 0)
        split = SplitNode(user=k % 1000, options=(option,), inside=2 * k + 1, outside=2 * k + 2)
        tree += [split, leaf]
    start = time.monotonic()
    found = verify(instance, replace(root, tree=(*tree, leaf)), arithmetic=arithmetic)
    assert found == []
    assert time.monotonic() - start < 20


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS)
def test_what_each_leaf_leaves_to_its_users(seed: int) -> None:
    """The walk's sums, held against the lists on each leaf's path."""
    rng = np.random.default_rng(seed)
    tree: list[Node] = [LeafNode(prices=0, bound=0.0)]
    every = [(m, place, s) for m in range(2) for place in PLACES for s in range(2)]
    allowed = [{n: set(every) for n in range(2)}]
    for _ in range(int(rng.integers(1, 15))):
        v = int(rng.choice([v for v, node in enumerate(tree) if isinstance(node, LeafNode)]))
        n = int(rng.integers(2))
        listed = [option for option in every if rng.random() < 0.5]
        tree[v] = SplitNode(user=n, options=tuple(listed), inside=len(tree), outside=len(tree) + 1)
        tree += [LeafNode(prices=0, bound=0.0)] * 2
        allowed += [{**allowed[v], n: allowed[v][n] & set(listed)},
                    {**allowed[v], n: allowed[v][n] - set(listed)}]  # fmt: skip
    costs = rng.integers(0, 1000, (2, 2, 2, 2)).astype(float)
    costs[rng.random(costs.shape) < 0.2] = math.inf
    for n in range(2):  # so that the root leaves each user something
        costs[n, *rng.integers(0, 2, 3)] = rng.integers(0, 1000)
    total = Fraction(costs.min(axis=(1, 2, 3)).sum() + 0.5)
    leaves = [v for v, node in enumerate(tree) if isinstance(node, LeafNode)]
    some = [v for v in leaves if rng.random() < 0.7]
    sums = leaf_sums(tree, parents_of(tree), some, total, costs)
    for v in some:
        lowest = [min((costs[n, m, PLACES.index(p), s] for m, p, s in allowed[v][n]),
                      default=math.inf) for n in range(2)]  # fmt: skip
        if sum(lowest) < math.inf:
            assert sums[v] == sum(lowest) + 0.5
        else:
            assert sums[v] > Fraction(10) ** 399


def test_a_device_that_downloads_nothing_is_listed_at_every_server() -> None:
    instance = small_instance(user("a", fresh_fraction=1.0), user("b"))
    root = root_certificate(instance)
    best = root.bound
    for options in (((0, "device", 0),), ((0, "device", 0), (0, "device", 1))):
        inside = SplitNode(user=0, options=options, inside=1, outside=2)
        tree = (inside, LeafNode(prices=0, bound=best), LeafNode(prices=0, bound=best))
        assert verify(instance, replace(root, tree=tree)) == []

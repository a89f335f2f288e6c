"""Certificates for tests, made without a branching engine: best prices, hand-made splits."""

from __future__ import annotations

import math

import numpy as np

import dtkd_opt as do
from dtkd_opt.methods.search import make_plan
from dtkd_opt.pricing.bundle import maximise_bound
from dtkd_opt.pricing.equal_shares import first_prices
from dtkd_opt.pricing.lagrangian import price
from dtkd_opt.problem.options import Options
from dtkd_opt.records.arrays import Array, Index
from dtkd_opt.records.certificate import Certificate, LeafNode, Node, SplitNode, gap_above
from dtkd_opt.records.instance import PLACES
from dtkd_opt.records.plan import PlanRows

LOOSE = 1e-12  # relative: what a producer in floating point keeps from its claims


def best_prices(options: Options) -> Array:
    """(3, S) prices of the best bound."""
    return maximise_bound(options, first_prices(options)).prices


def incumbent_of(instance: do.Instance, options: Options, choice: Index) -> PlanRows:
    """The best plan of a choice as a certificate's columns."""
    shares = do.allocate(options, choice).shares
    return PlanRows.from_plan(instance, make_plan(options, choice, shares))


def cost_of(instance: do.Instance, plan: PlanRows) -> float:
    """J [s] of a plan, by `evaluate`."""
    evaluation = do.evaluate(instance, plan.to_plan(instance))
    assert not evaluation.violations
    return evaluation.objective


def make_certificate(
    instance: do.Instance, plan: PlanRows, prices: Array, tree: list[Node], loose: float = LOOSE
) -> Certificate:
    """A certificate with the plan's cost and the minimum bound of the leaves, a little loosened."""
    objective = cost_of(instance, plan)
    objective += loose * abs(objective)
    bound = min([objective, *(node.bound for node in tree if isinstance(node, LeafNode))])
    return Certificate(
        instance=instance.name,
        instance_sha256=instance.sha256,
        version=do.__version__,
        objective=objective,
        bound=bound,
        gap=gap_above(objective, bound),
        incumbent=plan,
        prices=np.asarray(prices, float),
        tree=tuple(tree),
    )


def root_certificate(instance: do.Instance) -> Certificate:
    """The best prices at the root, and the plan that they suggest."""
    options = do.build_options(instance)
    point = maximise_bound(options, first_prices(options))
    plan = incumbent_of(instance, options, point.choice)
    value = point.value / options.n_users
    leaf = LeafNode(prices=0, bound=value - LOOSE * abs(value))
    return make_certificate(instance, plan, point.prices[None], [leaf])


def tree_certificate(
    instance: do.Instance, splits: int, seed: int, reprice: bool = True
) -> Certificate:
    """A tree of random splits, each leaf with the best prices of what is left to it.

    Parameters
    ----------
    instance, splits, seed
        The problem, how many splits, and of what randomness.
    reprice
        Whether each leaf has its own best prices, or all share the root's.
    """
    rng = np.random.default_rng(seed)
    options = do.build_options(instance)
    plan = incumbent_of(instance, options, maximise_bound(options, first_prices(options)).choice)
    prices = [best_prices(options)]
    tree: list[Node | None] = [None]
    allowed = {0: np.ones(len(options), bool)}
    for _ in range(splits):
        v = int(rng.choice([v for v, node in enumerate(tree) if node is None]))
        split = _random_split(options, allowed[v], rng, len(tree))
        if split is None:
            continue
        node, inside = split
        tree[v] = node
        tree += [None, None]
        allowed[node.inside], allowed[node.outside] = allowed[v] & inside[0], allowed[v] & inside[1]
    nodes: list[Node] = []
    for v, found in enumerate(tree):
        if found is not None:
            nodes.append(found)
            continue
        left = options.select_rows(allowed[v])
        if reprice:
            prices.append(best_prices(left))
        used = len(prices) - 1 if reprice else 0
        value = price(left, np.maximum(prices[used], 1e-300)).value / options.n_users
        nodes.append(LeafNode(prices=used, bound=value - LOOSE * abs(value)))
    return make_certificate(instance, plan, np.array(prices), nodes)


def _random_split(
    options: Options, allowed: Array, rng: np.random.Generator, size: int
) -> tuple[SplitNode, tuple[Array, Array]] | None:
    """A split that leaves its user an option on both sides, and the two sides as masks."""
    counts = np.bincount(options.user[allowed], minlength=options.n_users)
    open_users = np.flatnonzero(counts > 1)
    if not len(open_users):
        return None
    n = int(rng.choice(open_users))
    mine = np.flatnonzero(allowed & (options.user == n))
    chosen = rng.permutation(mine)[: rng.integers(1, len(mine))]
    listed = [
        (int(options.model[k]), PLACES[options.place[k]], int(options.server[k])) for k in chosen
    ]
    node = SplitNode(user=n, options=tuple(listed), inside=size, outside=size + 1)
    listed = np.isin(np.arange(len(options)), chosen)
    others = options.user != n
    return node, (others | listed, others | ~listed)


def is_close(a: float, b: float, relative: float) -> bool:
    return math.isclose(a, b, rel_tol=relative, abs_tol=0.0)

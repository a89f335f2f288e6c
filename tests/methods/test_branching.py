"""The tree that branching leaves: it covers all choices, and every leaf's claim is true."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.methods.branching import Branching
from dtkd_opt.methods.exact import OuterApproximation
from dtkd_opt.methods.price import Price
from dtkd_opt.methods.proof_tree import OptionSplit, PricedLeaf, ProofTree
from dtkd_opt.methods.search import Search
from dtkd_opt.methods.stop import Stop, TimeIsUp
from dtkd_opt.pricing.lagrangian import price
from dtkd_opt.problem.options import Options
from dtkd_opt.records.solution import Termination
from tests.support.options import all_choices, mean_objective
from tests.support.strategies import instances

LIMITS = do.GeneratorSettings(deadlines=0.6, energy_budgets=0.4)
Proven = tuple[Search, ProofTree, Termination]


def tiny(seed: int, users: int, servers: int, limits: do.GeneratorSettings | None) -> do.Instance:
    """A generated instance with two students."""
    instance = do.generate_instance(users, servers, seed, limits)
    return instance.replace(models=instance.models[2:5:2])


def prove(
    instance: do.Instance, gap: float = 0.0, max_choices: float = 600, iterations: int | None = 300
) -> Proven:
    """The proof of an instance that can be enumerated."""
    try:
        options = do.build_options(instance)
    except do.InfeasibleError:
        assume(False)
        raise
    sizes = np.diff(options.start).astype(float)
    if np.prod(sizes) > max_choices or sizes.max() == 1:
        assume(False)
    search = Search(instance, options, Stop(gap=gap, iterations=iterations))
    try:
        termination, proof = Price().prove(search)
    except do.InfeasibleError:
        assume(False)
        raise
    return search, proof, termination


def leaves(options: Options, proof: ProofTree) -> list[tuple[PricedLeaf, np.ndarray]]:
    """The leaves with the rows of the options that their plans may take; each node reached once."""
    found, seen = [], set()
    waiting = [(0, np.ones(len(options), bool))]
    while waiting:
        number, allowed = waiting.pop()
        assert number not in seen
        seen.add(number)
        node = proof.nodes[number]
        if isinstance(node, PricedLeaf):
            found.append((node, np.flatnonzero(allowed)))
            continue
        assert isinstance(node, OptionSplit)
        assert (options.user[node.options] == node.user).all()
        listed = np.zeros(len(options), bool)
        listed[node.options] = True
        other = options.user != node.user
        waiting.append((node.inside, allowed & (listed | other)))
        waiting.append((node.outside, allowed & ~listed))
    assert seen == set(range(len(proof.nodes)))
    return found


def values_of(options: Options) -> dict[bytes, float]:
    """N · J of every choice."""
    return {c.tobytes(): options.n_users * mean_objective(options, c) for c in all_choices(options)}


@functools.cache
def values_at(seed: int) -> dict[bytes, float]:
    """The values of the choices of the instance that interrupts are tried on."""
    return values_of(do.build_options(tiny(seed, 3, 2, None)))


def check_proof(search: Search, proof: ProofTree, values: dict[bytes, float] | None = None) -> int:
    """Every choice is in exactly one leaf and costs no less than its value; how many leaves."""
    options = search.options
    values = values_of(options) if values is None else values
    met: list[bytes] = []
    found = leaves(options, proof)
    for leaf, rows in found:
        own = [rows[options.user[rows] == n] for n in range(options.n_users)]
        part = options.select_rows(rows)
        for choice in map(np.array, itertools.product(*own)):
            met.append(choice.tobytes())
            rounding = 1e-12 * (abs(leaf.value) + float((leaf.prices * options.capacity).sum()))
            assert leaf.value <= values[choice.tobytes()] + rounding
        if all(len(rows) for rows in own):  # a verifier prices the leaf again
            again = price(part, np.maximum(leaf.prices, 1e-300)).value
            assert leaf.value <= again + 1e-11 * abs(again)
    assert len(met) == len(values)
    assert set(met) == set(values)
    bound = min(leaf.value for leaf, _ in found) / options.n_users
    assert search.bound <= max(bound, -math.inf) * (1 + 1e-12) + 1e-300
    return len(found)


# --- whole proofs


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    users=st.integers(1, 3),
    servers=st.integers(1, 2),
    limits=st.sampled_from([None, LIMITS]),
)
def test_every_leaf_is_true(
    seed: int, users: int, servers: int, limits: do.GeneratorSettings | None
) -> None:
    search, proof, _ = prove(tiny(seed, users, servers, limits))
    check_proof(search, proof)


@settings(max_examples=25, deadline=None)
@given(instance=instances(max_users=3, max_servers=2, max_models=2))
def test_every_leaf_is_true_at_any_magnitude(instance: do.Instance) -> None:
    search, proof, _ = prove(instance, gap=1e-7, max_choices=200)
    check_proof(search, proof)


@pytest.mark.parametrize("gap", [0.0, 1e-7, 1e-4, 1e-2])
def test_the_gap_is_proven_by_the_leaves(gap: float) -> None:
    """The smallest leaf is the bound, within the gap of the enumerated optimum."""
    for seed in (5,):
        search, proof, termination = prove(tiny(seed, 3, 2, None), gap=gap)
        count = check_proof(search, proof)
        options = search.options
        best = min(mean_objective(options, choice) for choice in all_choices(options))
        assert best * (1 - 1e-12) <= search.objective <= best * (1 + gap + 1e-9)
        if gap:
            assert termination == "gap_reached"
            bound = min(leaf.value for leaf, _ in leaves(options, proof)) / options.n_users
            assert bound >= search.objective * (1 - gap) * (1 - 1e-12)
            assert count >= 1


def test_a_node_limit_leaves_a_whole_proof() -> None:
    counts = []
    for nodes in (1, 2, 5, 20):
        search, proof, termination = prove(tiny(5, 3, 2, None), iterations=nodes)
        counts.append(check_proof(search, proof))
        if nodes == 1:
            assert termination in ("iteration_limit", "gap_reached")
    assert counts == sorted(counts)


# --- proofs cut short


def at_call(
    number: int, error: type[BaseException], original: Callable[..., object]
) -> Callable[..., object]:
    """The method, but with an error at the given call."""
    count = 0

    def cut(self: object, *args: object, **kwargs: object) -> object:
        nonlocal count
        count += 1
        if count == number:
            raise error
        return original(self, *args, **kwargs)

    return cut


@pytest.mark.parametrize("error", [TimeIsUp, KeyboardInterrupt])
@pytest.mark.parametrize(
    "where",
    [
        "_branch",
        "_fix_by_reduced_cost",
        "_branching_option",
        "_evaluate",
        "_try",
        "_close",
    ],
)
def test_a_proof_cut_short_is_whole(
    where: str, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever step of whatever node an interrupt hits, what is left open becomes leaves."""
    original = getattr(Branching, where)
    hit = 0
    for seed in (5, 6):
        instance = tiny(seed, 3, 2, None)
        values = values_at(seed)
        for number in (1, 2, 4, 7):
            monkeypatch.setattr(Branching, where, at_call(number, error, original))
            search, proof, termination = prove(instance)
            if termination in ("time_limit", "interrupted"):
                hit += 1
                assert termination == ("time_limit" if error is TimeIsUp else "interrupted")
            check_proof(search, proof, values)
    assert hit >= 2


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8])
def test_out_of_time_between_nodes(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is looked at before each node, after the exchanges."""
    instance = tiny(5, 3, 2, None)
    original = Branching.run
    check_time = Search.check_time

    def run(self: Branching, max_nodes: int | None = None) -> Termination:
        monkeypatch.setattr(Search, "check_time", at_call(number, TimeIsUp, check_time))
        return original(self, max_nodes)

    monkeypatch.setattr(Branching, "run", run)
    search, proof, termination = prove(instance)
    assert termination in ("time_limit", "gap_reached", "stalled")
    assert number > 1 or termination == "time_limit"
    check_proof(search, proof)


def test_an_arithmetic_error_keeps_plan_and_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = tiny(5, 3, 2, None)
    original = Branching._branch
    monkeypatch.setattr(Branching, "_branch", at_call(2, ArithmeticError, original))
    assert do.solve(instance, "price", gap=0.0).status == "optimal"  # by HiGHS
    monkeypatch.setattr(OuterApproximation, "run", lambda self: "stalled")
    monkeypatch.setattr(Branching, "_branch", at_call(2, ArithmeticError, original))
    result = do.solve(instance, "price", gap=0.0)
    assert result.solution.termination == "stalled"
    assert do.check(instance, result.solution) == []
    assert -math.inf < result.bound <= result.objective

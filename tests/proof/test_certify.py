"""Certify: a proof for any plan, that `verify` accepts."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.records.certificate import LeafNode, SplitNode
from tests.support.instances import BEST, small_instance, user
from tests.support.options import all_choices, mean_objective
from tests.support.paths import INSTANCES

pytest.importorskip("flint")

NAMES = ("n5", "n10-s3", "n20-deadlines", "n20-energy")
BASELINES = ("greedy", "all-device", "all-server", "random")


def load(name: str) -> do.Instance:
    return do.read_instance(INSTANCES / f"{name}.json")


def check_certificate(
    instance: do.Instance, solution: do.Solution, proof: do.Certificate, best: float
) -> None:
    """Proven, about this plan, and no further from the truth than rounding."""
    assert do.verify(instance, proof) == []
    assert do.verify(instance, proof, arithmetic="arrays") == []
    assert solution.incumbent_objective is not None
    assert proof.objective == pytest.approx(solution.incumbent_objective, rel=1e-11)
    assert proof.objective >= solution.incumbent_objective
    assert proof.bound <= best * (1 + 1e-9)
    assert tuple(proof.incumbent.name) == tuple(solution.users.name)
    assert np.array_equal(proof.incumbent.uplink_hz, solution.users.uplink_hz)
    leaves = [node.bound for node in proof.tree if isinstance(node, LeafNode)]
    assert proof.bound == min(leaves)


# --- plans of every method


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", BASELINES)
def test_a_baselines_plan_gets_its_true_gap(name: str, method: str) -> None:
    """A plan that is worse than the best by more than the target gets the best's bound."""
    instance, best = load(name), BEST[name]
    solution = do.solve(instance, method).solution
    if solution.incumbent_objective is None:
        with pytest.raises(do.InputError, match="one per user, got 0"):
            do.certify(instance, solution)
        return
    proof = do.certify(instance, solution, target=1e-6)
    check_certificate(instance, solution, proof, best)
    true_gap = (solution.incumbent_objective - best) / solution.incumbent_objective
    assert true_gap - 1e-9 <= proof.gap <= true_gap + 1.1e-6


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", [1e-3, 1e-6])
def test_an_optimal_plan_gets_the_target(name: str, target: float) -> None:
    instance = load(name)
    solution = do.solve(instance, "price", gap=1e-8).solution
    proof = do.certify(instance, solution, target=target)
    check_certificate(instance, solution, proof, BEST[name])
    assert proof.gap <= target * (1 + 1e-9) + 2e-11


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 1000),
    users=st.integers(1, 3),
    servers=st.integers(1, 2),
    limits=st.sampled_from([None, do.GeneratorSettings(deadlines=0.5, energy_budgets=0.5)]),
)
def test_any_plan_of_a_tiny_instance(
    seed: int, users: int, servers: int, limits: do.GeneratorSettings | None
) -> None:
    """Against enumeration, with the tree's options in the file's terms."""
    instance = do.generate_instance(users, servers, seed, limits)
    instance = instance.replace(models=instance.models[2:5:2])
    try:
        options = do.build_options(instance)
    except do.InfeasibleError:
        assume(False)
        raise
    best = min(mean_objective(options, choice) for choice in all_choices(options))
    if math.isinf(best):
        assume(False)
    solution = do.solve(instance, "random", seed=seed).solution
    if solution.incumbent_objective is None:
        solution = do.solve(instance, "price").solution
    proof = do.certify(instance, solution, target=1e-7)
    check_certificate(instance, solution, proof, best)
    assert proof.bound >= best * (1 - 1.1e-7)


def test_a_silent_device_is_split_at_every_server() -> None:
    """A device with nothing to download is one option of the table, two of the file's."""
    fresh = {"fresh_fraction": 1.0, "channel_gain": (1e-11, 9e-12)}
    people = [user(f"u{n}", samples=400 + n, **fresh) for n in range(4)]
    instance = small_instance(*people)
    solution = do.solve(instance, "all-server").solution
    proof = do.certify(instance, solution, target=1e-9)
    assert do.verify(instance, proof) == []
    devices = [
        option[2]
        for node in proof.tree
        if isinstance(node, SplitNode)
        for option in node.options
        if option[1] == "device"
    ]
    assert set(devices) == {0, 1}  # the tree does split devices


# --- plans from elsewhere


def with_users(solution: do.Solution, **columns: np.ndarray) -> do.Solution:
    records = [one.model_dump() for one in solution.users]
    for key, values in columns.items():
        for record, value in zip(records, values, strict=True):
            record[key] = value
    text = json.loads(solution.to_bytes())
    text["users"] = records
    return do.Solution.model_validate(text | {"users": solution.users}).replace(
        users=[type(solution.users[0])(**record) for record in records]
    )


def test_an_overdrawn_pool_is_named() -> None:
    instance = load("n5")
    solution = do.solve(instance, "price").solution
    grabbed = with_users(solution, downlink_hz=(1.01 * solution.users.downlink_hz).tolist())
    with pytest.raises(do.InputError, match=r'servers\[0\] "edge-0": its downlink') as caught:
        do.certify(instance, grabbed)
    assert "overdrawn" in str(caught.value)
    assert len(caught.value.faults) == 1


def test_a_missed_deadline_is_named() -> None:
    instance = load("n20-deadlines")
    solution = do.solve(instance, "price").solution
    late = int(np.argmax(np.isfinite(instance.users.deadline_s)))
    tighter = float(solution.users.delay_s[late]) * 0.99
    people = list(instance.users)
    people[late] = people[late].replace(deadline_s=tighter)
    harder = instance.replace(users=tuple(people))
    with pytest.raises(do.InputError, match=rf"users\[{late}\].*deadline_s"):
        do.certify(harder, solution)


def test_only_the_plan_is_believed() -> None:
    """Wrong figures, another's hash, a claimed bound far too high: none of it matters."""
    instance = load("n5")
    solution = do.solve(instance, "greedy").solution
    honest = do.certify(instance, solution)
    lying = solution.replace(
        incumbent_objective=1.0,
        objective_bound=1e9,
        gap=0.0,
        status="optimal",
        instance_sha256="0" * 64,
        mean_accuracy=1.0,
    )
    proof = do.certify(instance, lying)
    assert do.verify(instance, proof) == []
    assert (proof.objective, proof.bound) == (honest.objective, honest.bound)
    assert proof.instance_sha256 == instance.sha256


def test_without_a_plan_there_is_nothing_to_certify() -> None:
    instance = load("n5")
    solution = do.solve(instance, "price").solution
    empty = solution.replace(users=(), status="unknown")
    with pytest.raises(do.InputError, match="one per user, got 0"):
        do.certify(instance, empty)


# --- ends


def test_a_time_limit_still_proves_something() -> None:
    instance = do.generate_instance(25, 3, 0, do.GeneratorSettings(deadlines=0.3))
    solution = do.solve(instance, "price", gap=1e-3).solution
    proof = do.certify(instance, solution, target=0.0, time_limit=1e-9)
    assert do.verify(instance, proof) == []
    assert -math.inf < proof.bound < proof.objective


def test_progress_is_reported() -> None:
    seen: list[do.Progress] = []
    instance = load("n10-s3")
    do.certify(instance, do.solve(instance, "greedy").solution, callback=seen.append)
    assert "prices" in {progress.phase for progress in seen}
    bounds = [progress.bound for progress in seen]
    assert bounds == sorted(bounds)


def test_claims_are_lowered_to_what_the_checker_proves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with the bounds of the proof, the certificate holds."""
    from dtkd_opt.proof import certify as module

    pytest.importorskip("flint")
    instance = do.generate_instance(6, seed=3)
    result = do.solve(instance, "greedy")
    honest = do.certify(instance, result)
    nodes = module._nodes

    def boasting(*given: object) -> object:
        made, prices = nodes(*given)  # type: ignore[arg-type]
        higher = (n.replace(bound=n.bound * 1.01) if hasattr(n, "bound") else n for n in made)
        return tuple(higher), prices

    monkeypatch.setattr(module, "_nodes", boasting)
    certificate = do.certify(instance, result)
    assert do.verify(instance, certificate) == []
    assert certificate.bound == pytest.approx(honest.bound, rel=1e-9)

"""Solving in several threads, beside an event loop, and in joblib's workers: the serial answers."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import joblib
import pytest

import dtkd_opt as do

METHODS = {
    "price": do.Price(),
    "exact": do.Exact(),
    "exact by HiGHS alone": do.Exact(fixing=False),
    "q-learning": do.QLearning(rounds=20),
    "dqn": do.DQN(rounds=4),
    "greedy": do.Greedy(),
    "all-device": do.AllDevice(),
    "all-server": do.AllServer(),
    "random": do.Random(),
}
each_method = pytest.mark.parametrize("method", METHODS)
Task = tuple[str, int]


def untimed(result: do.Result) -> bytes:
    """The solution file without its runtime."""
    return result.solution.replace(runtime_s=0.0).to_bytes()


def answer(method: str, seed: int) -> bytes:
    instance = do.generate_instance(4, 2, seed, do.GeneratorSettings(energy_budgets=0.5))
    return untimed(do.solve(instance, METHODS[method], gap=1e-9, seed=seed))


serial = cache(answer)


def in_threads(tasks: Sequence[Task], threads: int) -> list[bytes]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda task: answer(*task), tasks))


def test_all_methods_at_once_give_the_serial_answers() -> None:
    tasks = [(method, seed) for seed in range(2) for method in METHODS]
    assert in_threads(tasks, 8) == [serial(*task) for task in tasks]


@pytest.mark.slow
@each_method
def test_eight_threads_of_twenty_solves_give_the_serial_answers(method: str) -> None:
    tasks = [(method, seed) for seed in range(20)] * 8
    assert in_threads(tasks, 8) == [serial(*task) for task in tasks]


def test_beside_a_running_event_loop_and_within_it() -> None:
    """As in Jupyter: the main thread's loop runs, and what a cell calls is called from it."""
    tasks = [(method, 0) for method in METHODS]

    async def cell() -> list[bytes]:
        beside = [asyncio.to_thread(answer, *task) for task in tasks]
        running = asyncio.gather(*beside)
        await asyncio.sleep(0)
        within = [answer(*task) for task in tasks[:4]]
        return [*within, *await running]

    expected = [serial(*task) for task in tasks]
    assert asyncio.run(cell()) == [*expected[:4], *expected]


def test_what_another_thread_prints_meanwhile_is_not_lost(capfd: pytest.CaptureFixture) -> None:
    """Pyomo's interfaces to solvers would capture it, and HiGHS must print nothing itself."""
    done, lines = threading.Event(), 0

    def prints() -> int:
        count = 0
        while not done.is_set():
            os.write(1, b"mine\n")
            count += 1
        return count

    with ThreadPoolExecutor(1) as pool:
        printed = pool.submit(prints)
        try:
            answer("exact by HiGHS alone", 1)
        finally:
            done.set()
        lines = printed.result()
    out, err = capfd.readouterr()
    assert (out, err) == ("mine\n" * lines, "")


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib_gives_the_serial_answers(backend: str) -> None:
    tasks = [(method, 1) for method in METHODS]
    found = joblib.Parallel(2, backend)(joblib.delayed(answer)(*task) for task in tasks)
    assert found == [serial(*task) for task in tasks]


def planned(planner: do.Planner, instance: do.Instance) -> do.Result:
    return planner.solve(instance.users.channel_gain)


def test_one_planner_in_several_threads_plans_each_for_its_own_gains() -> None:
    drawn = [do.generate_instance(12, 2, 3)]
    for factor in (0.25, 0.5, 2.0, 4.0):
        gains = drawn[0].users.channel_gain * factor
        drawn.append(drawn[0].replace(users=drawn[0].users.replace(channel_gain=gains)))
    planner = do.Planner(drawn[0], gap=1e-6)
    with ThreadPoolExecutor(5) as pool:
        results = list(pool.map(planned, [planner] * 15, drawn * 3))
    for instance, result in zip(drawn * 3, results, strict=True):
        assert result.instance == instance
        assert result.objective == pytest.approx(do.solve(instance).objective, rel=2e-6)


def certificate(seed: int) -> list[str]:
    instance = do.generate_instance(3, 1, seed)
    proof = do.certify(instance, do.solve(instance, "greedy"))
    return [f"{proof.bound:.17g} {proof.gap:.17g}", *do.verify(instance, proof, arithmetic="balls")]


def test_proofs_in_threads_are_the_serial_ones() -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(certificate, [0, 1] * 4)) == [certificate(0), certificate(1)] * 4

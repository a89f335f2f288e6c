r"""Random instances at the edges of what a file may hold: no false bound, no false "infeasible".

    python experiments/stress.py --seconds 1800 --seed 0 --folder failures

Every instance (1 to 8 users, 1 to 4 servers) is solved by `price` and by `exact`, small ones also
by HiGHS alone on all options; the plan is certified and the certificate verified. Amounts lie up to
6 decades to each side of ordinary ones, a few at the ends of what a file may hold; deadlines and
energy budgets are placed around a plan: exactly at it, just inside, just outside and far off. A
failing instance is written to the folder, with its findings beside it.

| counted | meaning |
|---|---|
| false bound | one above a plan that keeps all limits exactly, by ball arithmetic |
| violation | a plan that breaks a limit, or whose figures are not those of the instance |
| false infeasible | said of an instance that has such a plan |
| refused | a certificate of our own that `verify` does not accept |
| unproven | neither method proved the gap of 1e-6 in its time |
| traceback | anything that is not one of our errors |
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from common import provenance
from joblib import Parallel, delayed
from stress_instances import draw_instance

import dtkd_opt as do
from dtkd_opt.proof.verify.balls import Balls
from dtkd_opt.records.arrays import Array
from dtkd_opt.records.instance import DEVICE
from dtkd_opt.records.plan import Plan

Kind = Literal[
    "false bound", "violation", "false infeasible", "refused", "unproven", "traceback"
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
Finding = tuple[Kind, str]
Task = tuple[int, int, Path | None]  # seed, number, folder
LIMIT_S = 4.0  # of one method on one instance
TIGHTER = 1e-7  # relative: limits of the copy whose plan keeps the instance's own exactly


@dataclass
class Findings:
    """What is wrong with the answers for one instance."""

    instance: do.Instance
    found: list[Finding] = field(default_factory=list)
    best: Fraction | None = None  # cost of the best plan that keeps all limits exactly
    proven: bool = False

    def add(self, kind: Kind, words: str) -> None:
        self.found.append((kind, words))

    def try_plan(self, result: do.Result, balls: Balls) -> None:
        cost = exact_cost(self.instance, result.plan, balls) if result.plan is not None else None
        if cost is not None:
            self.best = cost if self.best is None else min(self.best, cost)


def exact_cost(instance: do.Instance, plan: Plan, balls: Balls) -> Fraction | None:
    """J [s] at most, of a plan moved inside its pools; None unless it keeps all limits for sure."""
    shares = np.array([plan.uplink_hz, plan.downlink_hz, plan.cpu_hz]) * (1 - 1e-14)
    capacity = np.array([(s.uplink_hz, s.downlink_hz, s.cpu_hz) for s in instance.servers]).T
    for (p, s), pool in np.ndenumerate(capacity):
        if sum(map(Fraction, shares[p, plan.server == s].tolist())) > Fraction(float(pool)):
            return None
    used = shares.copy()
    on_device = plan.place == DEVICE
    used[2, on_device] = np.minimum(plan.device_hz * (1 - 1e-14), instance.users.cpu_hz)[on_device]
    choice = np.array([plan.model, plan.place, plan.server])
    cost, delay, energy, accuracy = balls.figures(choice, used)
    users = instance.users
    kept: Array = (delay <= users.deadline_s) & (energy <= users.energy_j)
    kept &= (accuracy >= users.min_accuracy) & np.isfinite(cost)
    return sum(map(Fraction, cost.tolist())) / len(cost) if kept.all() else None


def tightened(instance: do.Instance) -> do.Instance:
    """The same with limits a little tighter."""

    def tight(value: float | None) -> float | None:
        return None if value is None else max(value * (1 - TIGHTER), 1e-30)

    users = [
        u.replace(deadline_s=tight(u.deadline_s), energy_j=tight(u.energy_j))
        for u in instance.users
    ]  # fmt: skip
    return instance.replace(users=users)


def examine(instance: do.Instance, limit_s: float = LIMIT_S) -> Findings:
    """Solve, check, certify and verify an instance, and judge all that was said of it."""
    findings, balls = Findings(instance), Balls(instance)
    bounds: dict[str, Fraction] = {}
    infeasible: list[str] = []
    try:
        findings.try_plan(do.solve(tightened(instance), "price", time_limit=limit_s), balls)
        for method, chosen in _methods(instance).items():
            result = do.solve(instance, chosen, time_limit=limit_s)
            solution = result.solution
            findings.try_plan(result, balls)
            findings.proven |= solution.status in ("optimal", "infeasible")
            if solution.status == "infeasible":
                infeasible.append(method)
            if solution.objective_bound is not None:
                bounds[method] = Fraction(solution.objective_bound)
            if solution.users:
                for fault in do.check(instance, solution):
                    findings.add("violation", f"{method}: {fault}")
        if solution.users:
            _certify(findings, solution, bounds, limit_s)
    except Exception:
        findings.add("traceback", traceback.format_exc())
    if findings.best is not None:
        for method, bound in bounds.items():
            if bound > findings.best:
                over = float((bound - findings.best) / abs(findings.best))
                findings.add(
                    "false bound", f"{method}: {float(bound)!r} is {over:.1e} above a plan"
                )
        for method in infeasible:
            findings.add("false infeasible", f"{method}: a plan costs {float(findings.best)!r}")
    if not findings.proven:
        findings.add("unproven", "by price and exact")
    return findings


def _methods(instance: do.Instance) -> dict[str, do.Price | do.Exact]:
    """By name; HiGHS alone where it does not take long."""
    methods: dict[str, do.Price | do.Exact] = {"price": do.Price(), "exact": do.Exact()}
    if len(instance.users) * len(instance.servers) <= 6:
        methods["HiGHS alone"] = do.Exact(fixing=False)
    return methods


def _certify(
    findings: Findings, solution: do.Solution, bounds: dict[str, Fraction], limit_s: float
) -> None:
    certificate = do.certify(findings.instance, solution, time_limit=limit_s)
    bounds["certify"] = Fraction(certificate.bound)
    for fault in do.verify(findings.instance, certificate)[:1]:
        findings.add("refused", fault)


def work(task: Task, limit_s: float = LIMIT_S) -> list[Finding] | None:
    """What is found of one instance, written to the folder; None where none could be drawn."""
    seed, number, folder = task
    name = f"stress-{seed}-{number}"
    try:
        instance = draw_instance(np.random.default_rng([seed, number]), name)
    except do.DtkdError:  # no plan to place limits at
        return None
    found = examine(instance, limit_s).found
    if found and folder is not None:
        do.write_instance(instance, folder / f"{name}.json")
        (folder / f"{name}.txt").write_text("".join(f"{kind}: {words}\n" for kind, words in found))
    return found


def _tasks(seed: int, first: int, folder: Path | None, ends: float) -> Iterator[Task]:
    """Instances by number, as long as there is time."""
    for number in itertools.count(first):
        if time.monotonic() > ends:
            return
        yield seed, number, folder


def main() -> int:
    """Run for some seconds and print the counts; 1 where anything but `unproven` was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first instance")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--folder", type=Path, help="where failing instances go")
    given = parser.parse_args()
    if given.folder is not None:
        given.folder.mkdir(parents=True, exist_ok=True)
    for line in provenance(("dtkd-opt", "numpy", "highspy", "clarabel", "python-flint")):
        print(f"# {line}", flush=True)
    counts, done = Counter[str](), 0
    tasks = _tasks(given.seed, given.first, given.folder, time.monotonic() + given.seconds)
    with Parallel(n_jobs=given.jobs, return_as="generator_unordered") as parallel:
        for found in parallel(delayed(work)(task) for task in tasks):
            done += found is not None
            counts.update({kind for kind, _ in found or ()})
    print(f"instances: {done}")
    for kind in KINDS:
        print(f"{kind}: {counts[kind]}")
    return int(any(counts[kind] for kind in KINDS if kind != "unproven"))


if __name__ == "__main__":
    sys.exit(main())

"""Changed certificates: every false one is refused.

Mutants are drawn with fixed seeds over categories, from certificates whose claims leave no more
than 1e-12 to rounding. What makes a mutant false is judged without the verifier: by the format's
rules, by `evaluate`, or because best prices were changed under a claim that needs them.
"""

from __future__ import annotations

import functools
import json
import math
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.records.instance import PLACES
from tests.support.mutants import (
    BASES,
    Json,
    Mutant,
    base,
    damaged,
    edited,
    faults_of,
    leaves,
    refreshed,
    splits,
    true_cost,
)
from tests.support.paths import DATA, INSTANCES


def of_prices(data: Json, instance: do.Instance, rng: np.random.Generator) -> Iterator[Mutant]:
    capacity = [[getattr(s, key) for s in instance.servers]
                for key in ("uplink_hz", "downlink_hz", "cpu_hz")]  # fmt: skip
    for v in leaves(data):
        i = data["tree"][v]["prices"]
        worth = np.array(data["prices"][i]) * capacity
        pools = np.argwhere(worth > 1e-2 * worth.sum())
        p, s = pools[rng.integers(len(pools))]
        for low, high in ((0.3, 0.8), (1.25, 3.0)):
            scale = rng.uniform(low, high)
            yield (
                f"price {scale:.2f}",
                edited(data, "prices", i, p, s, value=lambda old, by=scale: old * by),
            )
    i = data["tree"][leaves(data)[0]]["prices"]
    for bad in (-1e-9, math.nan, math.inf, "1", None):
        yield f"price {bad}", edited(data, "prices", i, 0, 0, value=bad)
    yield "pool missing", edited(data, "prices", i, value=lambda old: old[:2])
    yield "server missing", edited(data, "prices", i, 0, value=lambda old: old[:-1])
    yield "other pool's prices", edited(data, "prices", i, value=lambda old: old[::-1])
    yield "no prices", data | {"prices": []}


def of_claims(data: Json, instance: do.Instance, rng: np.random.Generator) -> Iterator[Mutant]:
    for v in leaves(data):
        by = 1 + 10 ** rng.uniform(-6, -2)
        yield "leaf higher", edited(data, "tree", v, "bound", value=lambda old, by=by: old * by)
    for by in (1 + 1e-6, 1 + 1e-9, 1.01):
        yield "bound higher", refreshed(data | {"bound": data["bound"] * by})
        yield "objective lower", refreshed(data | {"objective": data["objective"] / by})
    every = edited(data, "bound", value=lambda old: old * (1 + 1e-6))
    for v in leaves(data):
        every["tree"][v]["bound"] *= 1 + 1e-6
    yield "all bounds higher", refreshed(every)
    if data["gap"] > 0:
        for by in (0.0, 0.5, 1 - 1e-6):
            yield "gap lower", data | {"gap": data["gap"] * by}
    yield "gap negative", data | {"gap": -1e-3}
    for key in ("objective", "bound", "gap"):
        yield f"{key} NaN", data | {key: math.nan}
    yield "objective infinite", data | {"objective": math.inf}


def of_trees(data: Json, instance: do.Instance, rng: np.random.Generator) -> Iterator[Mutant]:
    tree, size = data["tree"], len(data["tree"])
    for v in splits(data):
        a, b = tree[v]["inside"], tree[v]["outside"]
        yield "child twice", edited(data, "tree", v, "outside", value=a)
        yield "dangling", edited(data, "tree", v, "inside", value=size)
        yield "to itself", edited(data, "tree", v, "inside", value=v)
        yield "far away", edited(data, "tree", v, "inside", value=10**30)
        yield "user unknown", edited(data, "tree", v, "user", value=len(instance.users))
        bounds = [tree[child].get("bound") for child in (a, b)]
        if None not in bounds and abs(bounds[0] - bounds[1]) > 1e-6 * abs(bounds[0]):
            yield "sides swapped", edited(
                data, "tree", v, value=lambda old: old | {"inside": old["outside"],
                                                          "outside": old["inside"]}
            )  # fmt: skip
            swapped = edited(data, "tree", a, "bound", value=bounds[1])
            yield "claims swapped", edited(swapped, "tree", b, "bound", value=bounds[0])
            weak, strong = sorted((a, b), key=lambda child: tree[child]["bound"])
            every = [[m, p, s] for m in range(len(instance.models)) for p in PLACES
                     for s in range(len(instance.servers))]  # fmt: skip
            # the strong side gets what the weak one had, also
            options = [] if strong == b else every
            yield "all to the strong side", edited(data, "tree", v, "options", value=options)
            weaker = tree[weak] | {"bound": tree[strong]["bound"]}
            yield "weak side stronger", edited(data, "tree", weak, value=weaker)
    inner = [v for v in splits(data) if v > 0]
    for v in inner[:3]:
        yield "cycle", edited(data, "tree", v, "outside", value=0)
    for cut in (1, 2, size - 1, size):
        yield "cut short", data | {"tree": tree[: size - cut]}
    yield "orphan", data | {"tree": [*tree, tree[leaves(data)[0]]]}
    v = splits(data)[0]
    for option in ([99, "server", 0], [0, "server", 99], [-1, "server", 0], [0, "cloud", 0], [0]):
        yield "no such option", edited(data, "tree", v, "options", value=[option])
    for change in ({"prices": 99}, {"prices": -1}, {"bound": None}, {"more": 1}):
        yield (
            "leaf broken",
            edited(data, "tree", leaves(data)[0], value=lambda old, change=change: old | change),
        )


def of_plans(data: Json, instance: do.Instance, rng: np.random.Generator) -> Iterator[Mutant]:
    count, rows = len(instance.users), data["incumbent"]
    for key in ("uplink_hz", "downlink_hz", "cpu_hz"):
        for by in (0.5, 0.9, 0.999, 1 + 1e-6, 1.1, 10.0):
            used = [n for n, row in enumerate(rows) if row[key] > 0]
            n = int(rng.choice(used))
            yield (
                f"{key} x {by}",
                edited(data, "incumbent", n, key, value=lambda old, by=by: old * by),
            )
        for bad in (0.0, -1.0, math.nan, "1", 1e308):
            n = int(rng.choice([n for n, row in enumerate(rows) if row[key] > 0]))
            yield f"{key} {bad}", edited(data, "incumbent", n, key, value=bad)
    names = {
        "model": [model.name for model in instance.models],
        "place": list(PLACES),
        "server": [server.name for server in instance.servers],
    }
    for key, known in names.items():
        for n in rng.permutation(count)[:4]:
            other = [name for name in known if name != rows[n][key]]
            if other:
                new = edited(data, "incumbent", n, key, value=str(rng.choice(other)))
                if true_cost(new, instance) > data["objective"] * (1 + 1e-11):
                    yield f"other {key}", new
        yield f"unknown {key}", edited(data, "incumbent", 0, key, value="else")
    yield "reordered", data | {"incumbent": rows[::-1]}
    yield "two swapped", data | {"incumbent": [rows[1], rows[0], *rows[2:]]}
    swapped = [dict(row, name=rows[n]["name"]) for n, row in enumerate([*rows[1:], rows[0]])]
    if true_cost(data | {"incumbent": swapped}, instance) > data["objective"] * (1 + 1e-11):
        yield "plans shifted", data | {"incumbent": swapped}
    yield "user missing", data | {"incumbent": rows[:-1]}
    yield "user twice", data | {"incumbent": [*rows, rows[-1]]}
    yield "nobody", data | {"incumbent": []}
    yield "no file", data | {"incumbent": "nothing.parquet"}


def of_form(data: Json, instance: do.Instance, rng: np.random.Generator) -> Iterator[Mutant]:
    for key in data:
        yield f"no {key}", {k: value for k, value in data.items() if k != key}
        yield f"{key} null", data | {key: None}
    yield "other format", data | {"format": "dtkd-opt/certificate/2"}
    yield "a solution", data | {"format": "dtkd-opt/solution/1"}
    yield "more", data | {"more": 1}
    yield "other instance", data | {"instance": "n50"}
    digest = data["instance_sha256"]
    for k in rng.integers(0, 64, 3):
        flipped = "0" if digest[k] != "0" else "1"
        yield "other hash", data | {"instance_sha256": digest[:k] + flipped + digest[k + 1 :]}
    yield "hash cut", data | {"instance_sha256": digest[:-1]}


CATEGORIES: tuple[Callable[[Json, do.Instance, np.random.Generator], Iterator[Mutant]], ...] = (
    of_prices, of_claims, of_trees, of_plans, of_form,
)  # fmt: skip
SPLITS: dict[Any, int] = {of_plans: 0}  # a changed plan is false whatever the tree


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("mutants", CATEGORIES, ids=lambda function: function.__name__)
def test_false_certificates_are_refused(name: str, mutants: Any, tmp_path: Path) -> None:
    instance, text = base(name, SPLITS.get(mutants, 8))
    assert faults_of(instance, text, tmp_path) == []
    accepted = []
    for what, mutant in mutants(json.loads(text), instance, np.random.default_rng(7)):
        faults = faults_of(instance, mutant, tmp_path)
        if not faults:
            accepted.append(what)
        assert all(isinstance(fault, str) and fault for fault in faults)
    assert accepted == []


def test_mutants_are_many() -> None:
    count = dict.fromkeys((category.__name__ for category in CATEGORIES), 0)
    for name in BASES:
        for category in CATEGORIES:
            instance, text = base(name, SPLITS.get(category, 8))
            drawn = category(json.loads(text), instance, np.random.default_rng(7))
            count[category.__name__] += sum(1 for _ in drawn)
    assert sum(count.values()) >= 600
    assert min(count.values()) >= 80


# --- damage of any kind, judged by the truth: 1,000 in all

DAMAGED = [("n5", 100), ("n10-s3", 300), ("n20-deadlines", 300), ("deadline-c589", 300)]


@functools.cache
def proven(name: str) -> tuple[do.Instance, str, float]:
    """An instance, a certificate of gap 1e-8, and what a plan is known to cost at most."""
    folder = INSTANCES if (INSTANCES / f"{name}.json").exists() else DATA / "edge"
    instance = do.read_instance(folder / f"{name}.json")
    certificate = do.certify(instance, do.solve(instance, gap=1e-8), target=1e-8, time_limit=20)
    with tempfile.TemporaryDirectory() as held:
        file = Path(held) / "c.json"
        do.write_certificate(certificate, file)
        return instance, file.read_text(encoding="utf-8"), certificate.objective


def claims_too_much(data: Json, instance: do.Instance, optimum: float) -> bool:
    """Whether a certificate says more than is true: of its plan, of all plans, or of the gap.

    `optimum` is what a plan costs that is known: no bound above it is true.
    """
    upper, lower, gap = (Fraction(data[key]) for key in ("objective", "bound", "gap"))
    return (
        true_cost(data, instance) > float(upper) * (1 + 1e-11)
        or lower > Fraction(optimum)
        or upper - lower > gap * abs(upper)
    )


@pytest.mark.parametrize(
    ("name", "count"),
    [
        *(pytest.param(name, count // 10, id=name) for name, count in DAMAGED),
        *(pytest.param(*one, id=f"{one[0]}-all", marks=pytest.mark.slow) for one in DAMAGED),
    ],
)
def test_damaged_certificates_claim_no_more_than_is_true(
    name: str, count: int, tmp_path: Path
) -> None:
    instance, text, optimum = proven(name)
    rng = np.random.default_rng(count)
    wrong, refused = [], 0
    for _ in range(count):
        what, mutant = damaged(json.loads(text), rng)
        if faults_of(instance, mutant, tmp_path):
            refused += 1
        elif claims_too_much(mutant, instance, optimum):
            wrong.append(what)
    assert wrong == []
    assert refused > 0

"""Changed certificates: every false one is refused, every truthfully loosened one accepted.

Mutants are drawn with fixed seeds over categories, from certificates whose claims leave no more
than 1e-12 to rounding. What makes a mutant false is judged without the verifier: by the format's
rules, by `evaluate`, or because best prices were changed under a claim that needs them.
"""

from __future__ import annotations

import copy
import functools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from certificates import root_certificate, tree_certificate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dtkd_opt as do
from dtkd_opt.certificate import gap_above
from dtkd_opt.instance import PLACES

pytest.importorskip("flint")

INSTANCES = Path(__file__).parent.parent / "instances"
BASES = ("n10", "n10-s3", "n20-deadlines", "n20-energy", "n5")
Json = dict[str, Any]
Mutant = tuple[str, Json]


@functools.cache
def base(name: str) -> tuple[do.Instance, str]:
    """An instance and the text of a certificate with a tree of 9 leaves."""
    instance = do.read_instance(INSTANCES / f"{name}.json")
    certificate = tree_certificate(instance, 8, seed=len(name))
    path = Path("/nonexistent")
    written: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dtkd_opt.certificate.write_atomic", lambda _, data: written.append(data))
        do.write_certificate(certificate, path)
    return instance, written[0].decode()


def faults_of(instance: do.Instance, data: Any, folder: Path) -> list[str]:
    """What is wrong with a certificate's JSON, read from a file."""
    file = folder / "c.json"
    file.write_text(json.dumps(data) if not isinstance(data, str) else data)
    try:
        certificate = do.read_certificate(file)
    except do.InputError as error:
        return list(error.faults) or ["raised without a reason"]
    return do.verify(instance, certificate)


def edited(data: Json, *path: Any, value: Any) -> Json:
    """A copy with one entry replaced; `value` may be a function of the old one."""
    new = copy.deepcopy(data)
    *way, last = path
    target = functools.reduce(lambda at, key: at[key], way, new)
    target[last] = value(target[last]) if callable(value) else value
    return new


def leaves(data: Json) -> list[int]:
    return [v for v, node in enumerate(data["tree"]) if "prices" in node]


def splits(data: Json) -> list[int]:
    return [v for v, node in enumerate(data["tree"]) if "user" in node]


def refreshed(data: Json) -> Json:
    """The certificate with the gap that its objective and bound have."""
    return data | {"gap": gap_above(data["objective"], data["bound"])}


# --- mutants: each yields certificates that prove less than they claim ---


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


def true_cost(data: Json, instance: do.Instance) -> float:
    """J [s] of the file's plan by `evaluate`, inf if it breaks a limit."""
    rows = data["incumbent"]
    models = [model.name for model in instance.models]
    servers = [server.name for server in instance.servers]
    evaluation = do.evaluate(
        instance,
        do.Plan(
            np.array([models.index(row["model"]) for row in rows]),
            np.array([PLACES.index(row["place"]) for row in rows]),
            np.array([servers.index(row["server"]) for row in rows]),
            *(np.array([row[key] for row in rows], float)
              for key in ("uplink_hz", "downlink_hz", "cpu_hz")),
        ),
    )  # fmt: skip
    return math.inf if evaluation.violations else evaluation.objective


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


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("mutants", CATEGORIES, ids=lambda function: function.__name__)
def test_false_certificates_are_refused(name: str, mutants: Any, tmp_path: Path) -> None:
    instance, text = base(name)
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
        instance, text = base(name)
        for category in CATEGORIES:
            drawn = category(json.loads(text), instance, np.random.default_rng(7))
            count[category.__name__] += sum(1 for _ in drawn)
    assert sum(count.values()) >= 600
    assert min(count.values()) >= 80


# --- the instance changes under the certificate ---


def changed_instances(
    instance: do.Instance, data: Json, rng: np.random.Generator
) -> Iterator[tuple[str, do.Instance]]:
    """Instances of which the certificate is no longer true."""
    servers = {server.name: s for s, server in enumerate(instance.servers)}
    used = {row["server"] for row in data["incumbent"] if row["place"] == "server"}
    for s, server in enumerate(instance.servers):
        if server.name not in used:
            continue
        for key in ("uplink_hz", "downlink_hz", "cpu_hz"):
            for by in (0.99, 1.01):
                update = {key: getattr(server, key) * by}
                edge = [*instance.servers]
                edge[s] = server.model_copy(update=update)
                yield f"{key} x {by}", instance.model_copy(update={"servers": tuple(edge)})
    for n in rng.permutation(len(instance.users))[:4]:
        one, row = instance.users[n], data["incumbent"][n]
        at = servers[row["server"]]
        gains = [
            tuple(g and g * (by if s == at else 1) for s, g in enumerate(one.channel_gain))
            for by in (0.99, 1.01)
        ]
        changes: list[Json] = [{"channel_gain": gain} for gain in gains]
        changes += [{"samples": one.samples + 10}, {"samples": one.samples - 10}]
        changes += [{"deadline_s": 1e-3}, {"min_accuracy": 0.999}]
        changes += [{"energy_j": 1e-9}, {"tx_power_w": one.tx_power_w * 0.9}]
        for change in changes:
            if "energy_j" in change and row["place"] == "device" and one.kappa == 0:
                continue
            if "tx_power_w" in change and row["place"] == "device":
                continue
            users = [*instance.users]
            users[n] = one.model_copy(update=change)
            yield str(change), instance.model_copy(update={"users": tuple(users)})


@pytest.mark.parametrize("name", BASES)
def test_other_instances_are_refused(name: str, tmp_path: Path) -> None:
    """By their hash, and if that is adapted because the claims are not true of them."""
    instance, text = base(name)
    data = json.loads(text)
    count = 0
    for what, other in changed_instances(instance, data, np.random.default_rng(1)):
        count += 1
        hashed = faults_of(other, data, tmp_path)
        assert hashed == ["instance_sha256: is of another file; certify this instance again"]
        adapted = faults_of(other, data | {"instance_sha256": other.sha256}, tmp_path)
        assert adapted, what
    assert count >= 30


# --- truthful loosenings ---


def loosened(data: Json, instance: do.Instance, rng: np.random.Generator) -> Iterator[Mutant]:
    for by in (1e-15, 1e-9, 1e-3, 0.5):
        yield "bound lower", refreshed(data | {"bound": data["bound"] * (1 - by)})
        yield "objective higher", refreshed(data | {"objective": data["objective"] * (1 + by)})
        yield "gap higher", data | {"gap": data["gap"] + by}
    for v in leaves(data):
        lower = edited(data, "tree", v, "bound", value=lambda old: old - abs(old) * 1e-4)
        lower["bound"] = min(lower["bound"], lower["tree"][v]["bound"])
        yield "leaf lower", refreshed(lower)
        size = len(data["tree"])
        node = data["tree"][v]
        user = int(rng.integers(len(instance.users)))
        split = {"user": user, "options": [[0, "server", 0]], "inside": size, "outside": size + 1}
        deeper = edited(data, "tree", v, value=split)
        yield "leaf split", deeper | {"tree": [*deeper["tree"], node, node]}
    for v in splits(data):
        yield "options twice", edited(data, "tree", v, "options", value=lambda old: old + old[::-1])
    yield "prices not used", data | {"prices": [*data["prices"], data["prices"][0]]}
    slower = edited(data, "incumbent", 0, "cpu_hz", value=lambda old: old * 0.99)
    cost = true_cost(slower, instance)
    if math.isfinite(cost):
        yield "slower plan", refreshed(slower | {"objective": cost * (1 + 1e-12)})
    yield "other version", data | {"version": "something else"}


@pytest.mark.parametrize("name", BASES)
def test_loosened_certificates_are_accepted(name: str, tmp_path: Path) -> None:
    instance, text = base(name)
    count = 0
    for what, mutant in loosened(json.loads(text), instance, np.random.default_rng(3)):
        count += 1
        assert faults_of(instance, mutant, tmp_path) == [], what
    assert count >= 35


def test_the_root_of_a_larger_instance(tmp_path: Path) -> None:
    """Prices of n50, each scaled either way, prove less than the best."""
    instance = do.read_instance(INSTANCES / "n50.json")
    do.write_certificate(root_certificate(instance), tmp_path / "root.json")
    data = json.loads((tmp_path / "root.json").read_text())
    assert faults_of(instance, data, tmp_path) == []
    for p in range(3):
        for by in (0.3, 0.8, 0.999, 1.001, 1.25, 3.0):
            mutant = edited(data, "prices", 0, p, 0, value=lambda old, by=by: old * by)
            faults = faults_of(instance, mutant, tmp_path)
            assert len(faults) == 1
            assert faults[0].startswith("tree[0]: prices prove only")


# --- garbage ---

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 30)
    | st.integers()
    | st.floats()
    | st.sampled_from([1e308, -1e308, 1e-320, 10**400, "device", "server", "edge-0", "", "c.json"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["prices", "bound", "user", "options"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def places_in(data: Any) -> list[tuple[Any, ...]]:
    """The path to everything inside a JSON value."""
    found: list[tuple[Any, ...]] = []
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        found.append((key,))
        if isinstance(value, dict | list):
            found += [(key, *path) for path in places_in(value)]
    return found


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drawn=st.data())
def test_garbage_is_a_fault_never_another_exception(drawn: st.DataObject, tmp_path: Path) -> None:
    instance, text = base("n5")
    data = json.loads(text)
    for _ in range(drawn.draw(st.integers(1, 4))):
        places = places_in(data)
        if not places:
            break
        path = drawn.draw(st.sampled_from(places))
        data = edited(data, *path, value=drawn.draw(VALUES))
    faults = faults_of(instance, data, tmp_path)
    assert all(isinstance(fault, str) and fault for fault in faults)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(start=st.integers(0, 5000), length=st.integers(0, 200), junk=st.text(max_size=5))
def test_torn_files(start: int, length: int, junk: str, tmp_path: Path) -> None:
    instance, text = base("n5")
    faults_of(instance, text[:start] + junk.encode("utf-8", "replace").decode()
              + text[start + length :], tmp_path)  # fmt: skip

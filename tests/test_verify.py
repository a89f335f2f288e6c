"""The verifier: its bounds never exceed the truth, and are as tight as prices allow."""

from __future__ import annotations

import ast
import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from certificates import claim, cost_of, incumbent_of, root_certificate, tree_certificate
from helpers import all_choices, mean_objective, random_choice, small_instance, user
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import instances
from test_cli import fails, run

import dtkd_opt as do
from dtkd_opt.certificate import Certificate, Incumbent, Leaf, Node, Split, gap_above
from dtkd_opt.equal import first_prices
from dtkd_opt.instance import PLACES
from dtkd_opt.options import OptionTable, pool_delays
from dtkd_opt.physics import Array
from dtkd_opt.prices import price
from dtkd_opt.verify import Arithmetic, verify
from dtkd_opt.verify.arrays import Arrays
from dtkd_opt.verify.balls import Balls, accuracy_at
from dtkd_opt.verify.rows import Rows, users_of
from dtkd_opt.verify.tree import edges_of

flint = pytest.importorskip("flint")

ROOT = Path(__file__).parent.parent
INSTANCES = ROOT / "instances"
SMALL = ("n5", "n10", "n20-deadlines", "n20-energy", "n10-s3", "n40-s3-limits")
SEEDS = st.integers(0, 2**32 - 1)
BOTH = pytest.mark.parametrize("arithmetic", ["balls", "arrays"])


def load(name: str) -> do.Instance:
    return do.read_instance(INSTANCES / f"{name}.json")


@st.composite
def odd_instances(draw: st.DrawFn) -> do.Instance:
    """Tiny instances: nothing fresh, all fresh, idle servers, gains over 12 decades."""
    instance = draw(instances(max_users=3, max_servers=2, max_models=2))
    changed = []
    for one in instance.users:
        gains = [g and g * 10 ** draw(st.sampled_from([-2, 0, 0, 2])) for g in one.channel_gain]
        update: dict[str, Any] = {"channel_gain": tuple(gains)}
        if draw(st.booleans()):
            update["fresh_fraction"] = draw(st.sampled_from([0.0, 1.0]))
        changed.append(one.model_copy(update=update))
    if draw(st.booleans()):
        idle = instance.servers[0].model_copy(update={"name": "idle: nobody reaches it"})
        instance = instance.model_copy(update={"servers": (*instance.servers, idle)})
        changed = [
            one.model_copy(update={"channel_gain": (*one.channel_gain, None)}) for one in changed
        ]
    return instance.model_copy(update={"users": tuple(changed)})


def table_of(instance: do.Instance, most: float = 200) -> OptionTable:
    """The option table, if there is one and enumerating it takes no time."""
    try:
        table = do.build_options(instance)
    except do.InfeasibleError:
        assume(False)
        raise
    assume(np.prod(np.diff(table.start)) <= most)
    return table


def any_prices(table: OptionTable, rng: np.random.Generator) -> Array:
    """(3, S) prices: sensible, far off, zero, or beyond all measure."""
    base = first_prices(table)
    prices: Array = base * np.exp(rng.uniform(-1, 1, base.shape) * rng.choice([0.1, 1, 5, 30]))
    odd = rng.random(base.shape) < rng.choice([0.0, 0.3])
    return np.where(odd, rng.choice([0.0, 1e-320, 1e-99, 1e99, 1e305], base.shape), prices)


def costs(arithmetic: Arithmetic, prices: Array, count: int) -> Array:
    return arithmetic.option_costs(prices, slice(0, count))


def both(instance: do.Instance) -> tuple[Balls, Arrays]:
    users = users_of(instance)
    return Balls(instance, users), Arrays(instance, users)


# --- what is true is proven ---


@pytest.mark.parametrize("name", SMALL)
def test_best_prices_are_proven(name: str) -> None:
    instance = load(name)
    trees = [tree_certificate(instance, 6, seed=1, reprice=reprice) for reprice in (True, False)]
    assert [tree.n_leaves for tree in trees] == [7, 7]
    for certificate in (root_certificate(instance), *trees):
        for arithmetic in ("balls", "arrays"):
            assert verify(instance, certificate, arithmetic=arithmetic) == []


def test_n50_within_ten_seconds(tmp_path: Path) -> None:
    do.write_certificate(tree_certificate(load("n50"), 25, seed=0), tmp_path / "c.json")
    start = time.monotonic()
    certificate = do.read_certificate(tmp_path / "c.json")
    assert do.verify(load("n50"), certificate) == []
    assert time.monotonic() - start < 10
    assert certificate.gap < 3e-5


@BOTH
def test_figures_are_those_of_evaluate_rounded_outward(arithmetic: Any) -> None:
    for name in SMALL:
        instance = load(name)
        table = do.build_options(instance)
        choice = random_choice(table, np.random.default_rng(0))
        try:
            plan = incumbent_of(instance, table, choice)
        except do.ChoiceInfeasible:
            continue
        rows = Rows(table.user[choice], table.model[choice], table.place[choice],
                    table.server[choice])  # fmt: skip
        shares = np.array([plan.uplink_hz, plan.downlink_hz, plan.cpu_hz])
        found = both(instance)[arithmetic == "arrays"].figures(rows, shares)
        true = do.evaluate(instance, do.Plan(rows.model, rows.place, rows.server, *shares))
        assert true.delay_s == pytest.approx(found.delay_s, rel=5e-14)
        assert true.energy_j == pytest.approx(found.energy_j, rel=5e-14)
        assert true.accuracy == pytest.approx(found.accuracy, rel=5e-14)
        assert found.cost_s.mean() == pytest.approx(true.objective, rel=1e-13)
        exact = both(instance)[0].figures(rows, shares)
        assert (found.cost_s >= exact.cost_s * (1 - 1e-15)).all()
        assert (found.accuracy <= exact.accuracy * (1 + 1e-15)).all()


# --- what is false is not ---


@settings(max_examples=80, deadline=None)
@given(instance=odd_instances(), seed=SEEDS)
def test_no_option_costs_less_than_its_bound(instance: do.Instance, seed: int) -> None:
    """Whatever shares an option buys within its limits, delay, error and prices cost c_k."""
    rng = np.random.default_rng(seed)
    table = table_of(instance, math.inf)
    prices = any_prices(table, rng)
    cap = table.capacity[:, table.server]
    lower = [costs(a, prices, table.n_users) for a in both(instance)]
    at = (table.user, table.model, table.place, table.server)
    for _ in range(20):
        shares = cap * np.exp(-rng.exponential(size=cap.shape) * rng.choice([0.1, 1, 10]))
        pools = pool_delays(table, shares)
        delay = table.device_delay_s + pools.sum(axis=0)
        fits = (delay <= table.deadline_s) & (pools[0] <= table.uplink_limit_s)
        used = np.where(table.needs > 0, shares, 0.0)
        with np.errstate(over="ignore"):
            paid = (prices[:, table.server] * used).sum(axis=0)
        total = delay + table.error_cost_s + paid
        for bound in lower:
            assert (bound[at][fits] <= total[fits] * (1 + 1e-13)).all()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(instance=odd_instances(), seed=SEEDS, arithmetic=st.sampled_from(["balls", "arrays"]))
def test_weak_duality_by_enumeration(instance: do.Instance, seed: int, arithmetic: Any) -> None:
    """At any prices, no leaf of any tree proves more than the best plan that is left to it."""
    rng = np.random.default_rng(seed)
    table = table_of(instance)
    choices = np.array(list(all_choices(table)))
    values = np.array([mean_objective(table, choice) for choice in choices])
    assume(np.isfinite(values).any())
    tree, left = random_tree(instance, table, rng)
    best = [np.where(mask[choices].all(axis=1), values, np.inf).min() for mask in left]
    plan = incumbent_of(instance, table, choices[np.argmin(values)])
    prices = np.array([any_prices(table, rng) for _ in range(3)])
    claims = [
        node if isinstance(node, Split) else Leaf(prices=int(rng.integers(3)), bound=bound)
        for node, bound in zip(tree, np.where(np.isinf(best), 0.0, best) * (1 + 1e-6), strict=True)
    ]
    faults = verify(instance, claim(instance, plan, prices, claims), arithmetic=arithmetic)
    for v, node in enumerate(tree):
        if isinstance(node, Leaf) and best[v] < np.inf and best[v] > 0:
            assert any(fault.startswith(f"tree[{v}]: prices prove only") for fault in faults)


def random_tree(
    instance: do.Instance, table: OptionTable, rng: np.random.Generator
) -> tuple[list[Node], list[Array]]:
    """Up to six splits by random lists, also empty ones, and what each node leaves of the table."""
    tree: list[Node] = [Leaf(prices=0, bound=0.0)]
    left = [np.ones(len(table), bool)]
    for _ in range(rng.integers(0, 7)):
        v = int(rng.choice([v for v, node in enumerate(tree) if isinstance(node, Leaf)]))
        n = int(rng.integers(table.n_users))
        every = [
            (m, PLACES[p], s)
            for m in range(len(instance.models))
            for p in range(2)
            for s in range(len(instance.servers))
        ]
        options = [option for option in every if rng.random() < rng.choice([0.1, 0.5])]
        tree[v] = Split(user=n, options=tuple(options), inside=len(tree), outside=len(tree) + 1)
        tree += [Leaf(prices=0, bound=0.0)] * 2
        keys = zip(table.model, table.place, table.server, strict=True)
        listed = np.array([(m, PLACES[p], s) in options for m, p, s in keys])
        left += [left[v] & (listed | (table.user != n)), left[v] & (~listed | (table.user != n))]
    return tree, left


@BOTH
@pytest.mark.parametrize("name", ["n10", "n20-energy", "n10-s3"])
def test_a_bound_a_billionth_higher_is_refused(name: str, arithmetic: Any) -> None:
    instance = load(name)
    certificate = tree_certificate(instance, 4, seed=2)
    for v, node in enumerate(certificate.tree):
        if isinstance(node, Leaf):
            higher = node.model_copy(update={"bound": node.bound * (1 + 1e-9)})
            tree = (*certificate.tree[:v], higher, *certificate.tree[v + 1 :])
            faults = verify(instance, replace(certificate, tree=tree), arithmetic=arithmetic)
            assert len(faults) == 1
            assert faults[0].startswith(f"tree[{v}]: prices prove only")


# --- both arithmetics ---


@settings(max_examples=60, deadline=None)
@given(instance=odd_instances(), seed=SEEDS)
def test_arrays_are_below_balls(instance: do.Instance, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = table_of(instance, math.inf)
    balls, arrays = both(instance)
    for _ in range(5):
        prices = any_prices(table, rng)
        upper, lower = (costs(a, prices, table.n_users) for a in (balls, arrays))
        assert (lower <= upper).all()


@pytest.mark.parametrize("name", [*SMALL, "n50", "n50-deadlines", "n50-energy", "n40-s3"])
def test_arrays_are_within_1e_12_of_balls(name: str) -> None:
    instance = load(name)
    table = do.build_options(instance)
    rng = np.random.default_rng(5)
    balls, arrays = both(instance)
    for k in range(10):
        prices = first_prices(table) * np.exp(rng.uniform(-1, 1, (3, table.n_servers)) * k / 3)
        upper, lower = (
            costs(a, prices, table.n_users).reshape(table.n_users, -1).min(axis=1)
            for a in (balls, arrays)
        )
        assert (lower <= upper).all()
        assert (upper - lower <= 1e-12 * upper).all()
        value = price(table, prices).value
        worth = float((prices * table.capacity).sum())
        # as tight as the solver's own bound, which knows nothing of whole pools
        assert upper.sum() - worth >= value - 1e-12 * (abs(value) + worth)


def test_log1p_is_as_good_as_the_arrays_assume() -> None:
    """Within 4 units in the last place, for arguments of every size that can occur."""
    rng = np.random.default_rng(0)
    x = np.concatenate([10 ** rng.uniform(-120, 220, 20_000), 10 ** rng.uniform(-6, 6, 60_000)])
    got = np.log1p(x)
    with flint.ctx.workprec(120):
        off = [float((flint.arb(g) - flint.arb(v).log1p()).mid()) for v, g in zip(
            x.tolist(), got.tolist(), strict=True)]  # fmt: skip
    assert (np.abs(off) <= 4 * np.spacing(got)).all()


@settings(max_examples=100, deadline=None)
@given(instance=instances(limits=False))
def test_accuracy(instance: do.Instance) -> None:
    for one in instance.users:
        for model in instance.models:
            for place in PLACES:
                ball = accuracy_at(model.accuracy, float(one.samples), place)
                true = model.accuracy.at(one.samples, place)
                assert float(ball.mid()) == pytest.approx(true, rel=1e-12, abs=1e-15)


# --- trees ---


@BOTH
def test_an_empty_case_proves_anything(arithmetic: Any) -> None:
    """No option of the list is left to the user: the case holds no plan."""
    instance = load("n5")
    root = root_certificate(instance)
    options = tuple((m, p, 0) for m in range(len(instance.models)) for p in PLACES)
    bound = root.bound
    tree = (
        Split(user=2, options=options, inside=1, outside=2),
        Leaf(prices=0, bound=bound),
        Split(user=2, options=options, inside=3, outside=4),
        Leaf(prices=0, bound=1e9),
        Split(user=3, options=options[:1], inside=5, outside=6),
        Leaf(prices=0, bound=1e9),
        Leaf(prices=0, bound=1e300),
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
        split = Split(user=k % 1000, options=(option,), inside=2 * k + 1, outside=2 * k + 2)
        tree += [split, leaf]
    start = time.monotonic()
    found = verify(instance, replace(root, tree=(*tree, leaf)), arithmetic=arithmetic)
    assert found == []
    assert time.monotonic() - start < 20


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS)
def test_what_each_node_leaves_to_its_user(seed: int) -> None:
    """The walk's bits, held against the lists on each node's path."""
    rng = np.random.default_rng(seed)
    instance = do.generate_instance(2, 2, 0).model_copy(update={"models": load("n5").models[:2]})
    tree: list[Node] = [Leaf(prices=0, bound=0.0)]
    every = [(m, place, s) for m in range(2) for place in PLACES for s in range(2)]
    allowed = [{n: set(every) for n in range(2)}]
    for _ in range(int(rng.integers(1, 15))):
        v = int(rng.choice([v for v, node in enumerate(tree) if isinstance(node, Leaf)]))
        n = int(rng.integers(2))
        listed = [option for option in every if rng.random() < 0.5]
        tree[v] = Split(user=n, options=tuple(listed), inside=len(tree), outside=len(tree) + 1)
        tree += [Leaf(prices=0, bound=0.0)] * 2
        allowed += [{**allowed[v], n: allowed[v][n] & set(listed)},
                    {**allowed[v], n: allowed[v][n] - set(listed)}]  # fmt: skip
    edges = edges_of(tree, (len(instance.models), 2, len(instance.servers)))
    assert sorted(edges) == list(range(1, len(tree)))

    def bits(options: set[Any]) -> int:
        return sum(1 << k for k, option in enumerate(every) if option in options)

    for v, edge in edges.items():
        assert edge.before == bits(allowed[edge.parent][edge.user])
        assert edge.after == bits(allowed[v][edge.user])


def test_a_least_share_is_used_only_if_proven() -> None:
    """Of an upload's least bandwidth a ball must show that less takes too much energy."""
    instance = load("n20-energy")
    balls, arrays = both(instance)
    table = do.build_options(instance)
    limited = np.flatnonzero(np.isfinite(table.uplink_limit_s) & (table.uplink_bits > 0))
    rows = Rows(*(column[limited] for column in (table.user, table.model, table.place,
                                                 table.server)))  # fmt: skip
    least = arrays.demand(rows, first_prices(table)).least_hz
    assert (least > 0).all()
    for k, share in enumerate(least[:20].tolist()):
        key = (int(rows.user[k]), int(rows.model[k]), int(rows.place[k]), int(rows.server[k]))
        with flint.ctx.workprec(128):
            held, free = balls._option(key, share), balls._option(key, share * (1 + 1e-11))
        assert held is not None
        assert free is not None
        assert held.least_hz == flint.arb(share)
        assert free.least_hz == 0


def test_a_device_that_downloads_nothing_is_listed_at_every_server() -> None:
    instance = small_instance(user("a", fresh_fraction=1.0), user("b"))
    root = root_certificate(instance)
    best = root.bound
    for options in (((0, "device", 0),), ((0, "device", 0), (0, "device", 1))):
        inside = Split(user=0, options=options, inside=1, outside=2)
        tree = (inside, Leaf(prices=0, bound=best), Leaf(prices=0, bound=best))
        assert verify(instance, replace(root, tree=tree)) == []


def imports_of(path: Path) -> set[str]:
    """All modules that a file imports, also inside functions; for `from x import y` also x.y."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            module = node.module or ""
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def test_needs_no_solver() -> None:
    """No file of the verifier, nor any that those import, leads to what finds bounds or plans."""
    package = ROOT / "dtkd_opt"
    todo = sorted((package / "verify").glob("*.py"))
    assert len(todo) >= 2
    for path in todo:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
    seen, modules = set(todo), set()
    while todo:
        found = imports_of(todo.pop())
        modules |= found
        for name in found:
            path = package / f"{name.removeprefix('dtkd_opt.').replace('.', '/')}.py"
            if name.startswith("dtkd_opt.") and path.exists() and path not in seen:
                seen.add(path)
                todo.append(path)
    ours = {path.stem for path in seen}
    solver = {"prices", "allocation", "response", "uplink", "options", "evaluate", "physics",
              "highs", "check", "solve"}  # fmt: skip
    assert not solver & ours
    assert not any(name.startswith(("dtkd_opt.methods", "formulations")) for name in modules)
    outside = {"pyomo", "scipy", "highspy", "pandas", "cvxpy", "pyscipopt"}
    assert not outside & {name.split(".")[0] for name in modules}


# --- faults in the user's words ---


def change(certificate: Certificate, **changes: Any) -> Certificate:
    return replace(certificate, **changes)


def plan_with(certificate: Certificate, n: int, **changes: Any) -> Certificate:
    """The certificate with another entry of the incumbent for one user."""
    columns = {}
    for key, value in changes.items():
        column = list(getattr(certificate.incumbent, key))
        column[n] = value
        numbers = key.endswith("_hz")
        columns[key] = np.array(column) if numbers else tuple(column)
    return replace(certificate, incumbent=replace(certificate.incumbent, **columns))


@pytest.fixture(scope="module")
def n10() -> tuple[do.Instance, Certificate]:
    instance = load("n10")
    return instance, root_certificate(instance)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"instance": "other"}, 'instance: must be "n10", got "other"'),
        ({"instance_sha256": "0"}, "instance_sha256: is of another file"),
        ({"objective": math.nan}, "objective: must be a finite number"),
        ({"objective": 18.0}, "objective: the plan costs 18.0"),
        ({"bound": 18.5}, "is above that of tree[0]"),
        ({"gap": 1e-9}, "gap: objective and bound prove only"),
        ({"tree": ()}, "tree: must have at least one node"),
        ({"tree": (Leaf(prices=1, bound=1.0),)}, "tree[0].prices: there are 1 price sets"),
        ({"prices": np.zeros((1, 3, 2))}, "prices: each set must have 3 pools of 1 servers"),
        ({"prices": np.full((1, 3, 1), -1.0)}, "prices: must be finite and at least 0"),
        ({"prices": np.full((1, 3, 1), np.nan)}, "prices: must be finite and at least 0"),
        ({"prices": np.zeros((1, 3, 1))}, "tree[0]: prices prove only"),
    ],
)
def test_claims(n10: tuple[do.Instance, Certificate], changes: dict[str, Any], part: str) -> None:
    instance, certificate = n10
    faults = do.verify(instance, change(certificate, **changes))
    assert any(part in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"name": "else"}, "incumbent[3].name: must be"),
        ({"model": "else"}, 'incumbent[3].model: the instance has no model "else"'),
        ({"place": "else"}, 'incumbent[3].place: the instance has no place "else"'),
        ({"server": "else"}, 'incumbent[3].server: the instance has no server "else"'),
        ({"uplink_hz": -1.0}, "incumbent[3]: has a share that is negative or not finite"),
        ({"cpu_hz": math.inf}, "incumbent[3]: has a share that is negative or not finite"),
        ({"cpu_hz": 0.0}, "incumbent[3]: has no share of a pool that it needs"),
        ({"downlink_hz": 1e-310}, "incumbent[3]: has no share of a pool that it needs"),
        ({"downlink_hz": 1e308}, "overdraws the downlink pool of servers[0]"),
        ({"uplink_hz": 1e8}, "overdraws the uplink pool of servers[0]"),
    ],
)
@BOTH
def test_plans(
    n10: tuple[do.Instance, Certificate], changes: dict[str, Any], part: str, arithmetic: Any
) -> None:
    instance, certificate = n10
    changed = plan_with(certificate, 3, **changes)
    faults = do.verify(instance, changed, arithmetic=arithmetic)
    assert any(part in fault for fault in faults), faults


@BOTH
def test_limits_of_users(arithmetic: Any) -> None:
    """A plan that keeps all limits breaks each as soon as it is a millionth tighter."""
    limits = {"energy_j": 20.0, "deadline_s": 30.0, "min_accuracy": 0.6}
    instance = small_instance(*(user(name, **limits) for name in "ab"))
    table = do.build_options(instance)
    for choice in all_choices(table):
        plan = incumbent_of(instance, table, choice)
        rows = Rows(*(column[choice] for column in (table.user, table.model, table.place,
                                                    table.server)))  # fmt: skip
        true = both(instance)[0].figures(
            rows, np.array([plan.uplink_hz, plan.downlink_hz, plan.cpu_hz])
        )
        for key, value, word in (
            ("energy_j", true.energy_j[1], "takes more than its energy_j"),
            ("deadline_s", true.delay_s[1], "takes longer than its deadline_s"),
            ("min_accuracy", true.accuracy[1], "is less accurate than its min_accuracy"),
        ):
            for factor in (1 - 1e-6, 1 + 1e-6):
                limited = instance.users[1].model_copy(update={key: value * factor})
                changed = instance.model_copy(update={"users": (instance.users[0], limited)})
                prices = np.zeros((1, 3, 2))
                tree: list[Node] = [Leaf(prices=0, bound=0.0)]
                certificate = replace(
                    claim(instance, plan, prices, tree), instance_sha256=changed.sha256
                )
                faults = verify(changed, certificate, arithmetic=arithmetic)
                broken = (factor > 1) == (key == "min_accuracy")
                assert faults == ([f"incumbent[1]: {word}"] if broken else [])


def test_a_cpu_above_its_highest_frequency() -> None:
    instance = load("n10")
    certificate = root_certificate(instance)
    n = certificate.incumbent.place.index("device")
    faster = plan_with(certificate, n, cpu_hz=instance.users[n].cpu_hz * (1 + 1e-6))
    assert verify(instance, faster) == [f"incumbent[{n}]: runs its CPU above its cpu_hz"]


def test_an_unreachable_server() -> None:
    instance = small_instance(user("a"), user("b"))
    certificate = root_certificate(instance)
    s = [server.name for server in instance.servers].index(certificate.incumbent.server[1])
    gains = tuple(None if k == s else 1e-11 for k in range(2))
    away = instance.users[1].model_copy(update={"channel_gain": gains})
    changed = instance.model_copy(update={"users": (instance.users[0], away)})
    faults = verify(changed, replace(certificate, instance_sha256=changed.sha256))
    assert "incumbent[1]: cannot reach its server" in faults


def test_without_flint(n10: tuple[do.Instance, Certificate], monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(do.InputError, match=r'needs python-flint; run pip install "dtkd-opt'):
        do.verify(*n10)
    assert do.verify(*n10, arithmetic="arrays") == []


# --- files ---


def same(a: Certificate, b: Certificate) -> bool:
    simple = ("instance", "instance_sha256", "version", "objective", "bound", "gap", "tree")
    plans = [
        [np.asarray(column).tolist() for column in vars(one.incumbent).values()] for one in (a, b)
    ]
    return (
        all(getattr(a, key) == getattr(b, key) for key in simple)
        and a.prices.shape == b.prices.shape
        and (a.prices == b.prices).all()
        and plans[0] == plans[1]
    )


@pytest.mark.parametrize("parquet", [None, True])
def test_round_trip(tmp_path: Path, parquet: bool | None) -> None:
    if parquet:
        pytest.importorskip("pyarrow")
    instance = load("n10-s3")
    certificate = tree_certificate(instance, 6, seed=3)
    file = tmp_path / "c.json"
    do.write_certificate(certificate, file, parquet=parquet)
    assert same(do.read_certificate(file), certificate)
    assert do.verify(instance, do.read_certificate(file)) == []
    names = {path.name for path in tmp_path.iterdir()}
    assert names == ({"c.json", "c.incumbent.parquet"} if parquet else {"c.json"})


def test_large_incumbents_go_to_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    size = 100_000
    names = tuple(f"u{n}" for n in range(size))
    share = np.linspace(0.0, 1.0, size)
    plan = Incumbent(names, ("m",) * size, ("device",) * size, ("s",) * size, share, share, share)
    certificate = Certificate(
        instance="big", instance_sha256="0", version="0", objective=1.0, bound=0.0, gap=1.0,
        incumbent=plan, prices=np.zeros((1, 3, 1)), tree=(Leaf(prices=0, bound=0.0),),
    )  # fmt: skip
    do.write_certificate(certificate, tmp_path / "big.json")
    assert (tmp_path / "big.json").stat().st_size < 1000
    assert same(do.read_certificate(tmp_path / "big.json"), certificate)


def test_faulty_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file, table = tmp_path / "c.json", tmp_path / "c.incumbent.parquet"
    do.write_certificate(root_certificate(load("n5")), file, parquet=True)
    good = parquet.read_table(table)

    def fault() -> str:
        with pytest.raises(do.InputError) as caught:
            do.read_certificate(file)
        return str(caught.value)

    parquet.write_table(good.drop_columns(["cpu_hz"]), table)
    assert fault() == f"{table}: cpu_hz: must be given as one column"
    empty = pa.array([None, *good["model"].to_pylist()[1:]])
    parquet.write_table(good.set_column(1, "model", empty), table)
    assert fault() == f"{table}: model: must have no empty entries"
    parquet.write_table(good.set_column(4, "uplink_hz", good["name"]), table)
    assert "has columns of a wrong type" in fault()
    parquet.write_table(good.append_column("more", good["name"]), table)
    assert fault() == f"{table}: more: is not a known column"
    table.write_bytes(b"PAR1 not at all PAR1")
    assert "is not a Parquet file" in fault()
    table.unlink()
    assert fault() == f"{table}: no such file"
    file.write_text(file.read_text().replace(table.name, "../c.parquet"))
    assert "incumbent: must name a file in the same folder" in fault()


def test_command_line(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    certificate = root_certificate(load("n5"))
    do.write_certificate(certificate, file)
    done = run("verify", INSTANCES / "n5.json", file)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"{file}: proven for n5: a plan of J ≤ {certificate.objective} s, none below "
        f"{certificate.bound} s, gap ≤ {certificate.gap:.2e} (leaves: 1, arithmetic: balls)\n"
    )
    arrays = run("verify", INSTANCES / "n5.json", file, "--arithmetic", "arrays")
    assert "arithmetic: arrays" in arrays.stdout
    fails(run("verify", INSTANCES / "n10.json", file), 1, f'{file}: instance: must be "n10"')
    fails(run("verify", INSTANCES / "n5.json", tmp_path / "no.json"), 1, "no such file")
    data = json.loads(file.read_text())
    data["tree"][0]["bound"] *= 1.001
    file.write_text(json.dumps(data))
    fails(run("verify", INSTANCES / "n5.json", file), 1, "tree[0]: prices prove only")


@pytest.mark.parametrize(("upper", "lower"), [(18.7, 18.6), (1.0, 1 / 3), (0.0, 0.0), (5.0, 5.0)])
def test_gap_above(upper: float, lower: float) -> None:
    from fractions import Fraction

    gap = gap_above(upper, lower)
    assert Fraction(upper) - Fraction(lower) <= Fraction(gap) * abs(Fraction(upper))
    assert gap == pytest.approx((upper - lower) / upper if upper else 0.0, rel=1e-15)


def test_a_worse_plan_is_proven_at_its_cost(n10: tuple[do.Instance, Certificate]) -> None:
    """Any feasible plan can be the incumbent, here equal shares."""
    instance, certificate = n10
    plan = certificate.incumbent
    less = replace(plan, uplink_hz=plan.uplink_hz * 0.5)
    worse = claim(instance, less, certificate.prices, list(certificate.tree))
    assert worse.objective > certificate.objective * 1.001
    assert cost_of(instance, less) < worse.objective
    assert verify(instance, worse) == []

"""The verifier: what is true is proven, what is false is named in the user's words."""

from __future__ import annotations

import ast
import io
import json
import math
import re
import sys
import time
import tokenize
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtkd_opt as do
from dtkd_opt.proof.verify import verify
from dtkd_opt.records.certificate import Certificate, LeafNode, Node, SplitNode
from dtkd_opt.records.plan import PlanRows
from dtkd_opt.records.users import Users
from tests.support.certificates import (
    cost_of,
    incumbent_of,
    make_certificate,
    root_certificate,
    tree_certificate,
)
from tests.support.command_line import fails, run
from tests.support.instances import small_instance, user
from tests.support.options import all_choices
from tests.support.verifying import BOTH, INSTANCES, ROOT, SMALL, both, choice_of, load, unchecked

# --- what is true is proven ---


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=[pytest.mark.slow] * (x == "n40-s3-limits")) for x in SMALL]
)
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


def test_a_worse_plan_is_proven_at_its_cost(n10: tuple[do.Instance, Certificate]) -> None:
    """Any feasible plan can be the incumbent, here equal shares."""
    instance, certificate = n10
    plan = certificate.incumbent
    less = plan.replace(uplink_hz=plan.uplink_hz * 0.5)
    worse = make_certificate(instance, less, certificate.prices, list(certificate.tree))
    assert worse.objective > certificate.objective * 1.001
    assert cost_of(instance, less) < worse.objective
    assert verify(instance, worse) == []


# --- what is false is not ---


def plan_with(certificate: Certificate, n: int, **changes: Any) -> Certificate:
    """The certificate with another entry of the incumbent for one user."""
    columns = {key: getattr(certificate.incumbent, key).copy() for key in PlanRows.keys}
    for key, value in changes.items():
        columns[key][n] = value
    return replace(certificate, incumbent=PlanRows.from_arrays(columns))


@pytest.fixture(scope="session")
def n10() -> tuple[do.Instance, Certificate]:
    instance = load("n10")
    return instance, root_certificate(instance)


# a cycle beside the root, so that every node is the child of one
LEAF = LeafNode(prices=0, bound=0.0)
APART = (LEAF, SplitNode(user=0, options=(), inside=1, outside=2), LEAF)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"instance": "other"}, 'instance: must be "n10", got "other"'),
        ({"instance_sha256": "0"}, "instance_sha256: is of another file"),
        ({"objective": math.nan}, "objective: must be a finite number"),
        ({"objective": 16.74}, "objective: the plan costs 16.7402"),
        ({"objective": 16.0}, "must not be above the objective 16.0"),
        ({"bound": 18.5}, "is above that of tree[0]"),
        ({"gap": 1e-9}, "gap: objective and bound prove only"),
        ({"tree": ()}, "tree: must have at least one node"),
        ({"tree": (LeafNode(prices=1, bound=1.0),)}, "tree[0].prices: there are 1 price sets"),
        ({"tree": APART}, "tree[1]: its children must be nodes after it, got 1"),
        ({"prices": np.zeros((1, 3, 2))}, "prices: each set must have 3 pools of 1 servers"),
        ({"prices": np.full((1, 3, 1), -1.0)}, "prices: must be finite and at least 0"),
        ({"prices": np.full((1, 3, 1), np.nan)}, "prices: must be finite and at least 0"),
        ({"prices": np.zeros((1, 3, 1))}, "tree[0]: prices prove only"),
    ],
)
def test_claims(n10: tuple[do.Instance, Certificate], changes: dict[str, Any], part: str) -> None:
    instance, certificate = n10
    faults = do.verify(instance, replace(certificate, **changes))
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
    options = do.build_options(instance)
    for choice in all_choices(options):
        plan = incumbent_of(instance, options, choice)
        shares = np.array([plan.uplink_hz, plan.downlink_hz, plan.cpu_hz])
        _, delay, energy, accuracy = both(instance)[0].figures(choice_of(options, choice), shares)
        for key, value, word in (
            ("energy_j", energy[1], "takes more than its energy_j"),
            ("deadline_s", delay[1], "takes longer than its deadline_s"),
            ("min_accuracy", accuracy[1], "is less accurate than its min_accuracy"),
        ):
            for factor in (1 - 1e-6, 1 + 1e-6):
                constrained = instance.users[1].replace(**{key: float(value * factor)})
                changed = unchecked(
                    instance, users=Users.from_records([instance.users[0], constrained])
                )
                prices = np.zeros((1, 3, 2))
                tree: list[Node] = [LeafNode(prices=0, bound=0.0)]
                certificate = replace(
                    make_certificate(instance, plan, prices, tree), instance_sha256=changed.sha256
                )
                faults = verify(changed, certificate, arithmetic=arithmetic)
                broken = (factor > 1) == (key == "min_accuracy")
                assert faults == ([f"incumbent[1]: {word}"] if broken else [])


def test_a_cpu_above_its_highest_frequency() -> None:
    instance = load("n10")
    certificate = root_certificate(instance)
    n = certificate.incumbent.place.tolist().index("device")
    faster = plan_with(certificate, n, cpu_hz=instance.users[n].cpu_hz * (1 + 1e-6))
    assert verify(instance, faster) == [f"incumbent[{n}]: runs its CPU above its cpu_hz"]


def test_an_unreachable_server() -> None:
    instance = small_instance(user("a"), user("b"))
    certificate = root_certificate(instance)
    s = [server.name for server in instance.servers].index(certificate.incumbent.server[1])
    gains = tuple(None if k == s else 1e-11 for k in range(2))
    away = instance.users[1].replace(channel_gain=gains)
    changed = instance.replace(users=(instance.users[0], away))
    faults = verify(changed, replace(certificate, instance_sha256=changed.sha256))
    assert "incumbent[1]: cannot reach its server" in faults


# --- around it ---


def test_without_flint(n10: tuple[do.Instance, Certificate], monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(do.InputError, match=r'needs python-flint: pip install "dtkd-opt'):
        do.verify(*n10)
    assert do.verify(*n10, arithmetic="arrays") == []


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


def code_lines(path: Path) -> int:
    """Lines that hold code: not blank, and neither comment nor docstring."""
    text = path.read_text(encoding="utf-8")
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
              tokenize.ENDMARKER)  # fmt: skip
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in layout:
            lines |= {*range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            docstring = node.body[0]
            lines -= {*range(docstring.lineno, (docstring.end_lineno or 0) + 1)}
    return len(lines)


def test_code_lines(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    file.write_text('"""Doc."""\n\n# comment\ndef f():  # why\n    """Doc\n    doc."""\n'
                    '    return """a\n    b"""\n')  # fmt: skip
    assert code_lines(file) == 3


def test_is_short_enough_to_be_read() -> None:
    """What is to be trusted with balls has at most 300 lines of code, as CERTIFICATE.md says."""
    text = (INSTANCES / "CERTIFICATE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `dtkd_opt/proof/verify/(\w+\.py)` \| (\d+) \|", text, re.MULTILINE)
    stated = {name: int(lines) for name, lines in rows}
    folder = ROOT / "dtkd_opt" / "proof" / "verify"
    counted = {path.name: code_lines(path) for path in folder.glob("*.py")}
    assert stated == counted
    read = sum(counted[name] for name in ("verification.py", "tree.py", "balls.py"))
    assert read <= 300
    assert f"{read} lines of code" in text


def test_needs_no_solver() -> None:
    """No file of the verifier, nor any that those import, leads to what finds bounds or plans."""
    package = ROOT / "dtkd_opt"
    todo = sorted((package / "proof" / "verify").glob("*.py"))
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

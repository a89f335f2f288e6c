"""Methods by name, and those of other packages: the example of CONTRIBUTING.md is installed."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import dtkd_opt as do
from dtkd_opt.analysis.compare.spec import build_specs
from dtkd_opt.methods import registry
from tests.support.paths import INSTANCES, ROOT

EXAMPLE = ROOT / "experiments" / "own_method"
CLI = "from dtkd_opt.commands.main import main; main()"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the example package was installed into, as pip does it from its source."""
    source, target = (tmp_path_factory.mktemp(name) for name in ("source", "site"))
    shutil.copytree(EXAMPLE, source, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pyc*"))
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", target]
    pip = [sys.executable, "-m", "pip", "install", *map(str, options), str(source)]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def dtkd_opt(site: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """The command line in a process that finds the packages of `site`."""
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", CLI, *map(str, words)]
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, env=environment, cwd=site, capture_output=True, text=True)


def test_an_installed_method_is_solved_with_checked_and_certified(
    site: Path, tmp_path: Path
) -> None:
    instance, file = INSTANCES / "n50.json", tmp_path / "plan.json"
    solved = dtkd_opt(site, "solve", instance, "--method", "best-response", "--output", file)
    assert solved.returncode == 0, solved.stderr
    solution = do.read_solution(file)
    assert (solution.method, solution.termination) == ("best-response", "heuristic_end")
    assert solution.gap is not None
    assert 1e-6 < solution.gap < 0.02  # no bound of its own: the prices'
    checked = dtkd_opt(site, "check", instance, file)
    assert "feasible and true" in checked.stdout, checked.stderr
    certificate = tmp_path / "cert.json"
    certified = dtkd_opt(site, "certify", instance, file, "--output", certificate)
    assert certified.returncode == 0, certified.stderr
    assert do.read_certificate(certificate).gap == pytest.approx(solution.gap, rel=1e-2)


def test_an_unknown_method_is_answered_with_the_installed_ones(site: Path) -> None:
    done = dtkd_opt(site, "solve", INSTANCES / "n5.json", "--method", "nonsense")
    assert done.returncode == 2
    assert "random, best-response" in done.stderr


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("raise RuntimeError('one\\ntwo')", "RuntimeError: one\\ntwo"),
        ("other = 1", "AttributeError"),
        ("method = 1", "it is no method and no function"),
        ("def method(search, seed, params: None): return 'fine'", "it returned 'fine'"),
        ("def method(search): pass", "cannot be used: TypeError: too many positional"),
        ("def method(search, seed, params: 3): pass", "params must be annotated with one class"),
        ("def method(search, seed, params: int | str): pass", "one class or None, got int | str"),
        ("def method(search, seed, params: list[int]): pass", "one class or None, got list[int]"),
        ("def method(search, seed, params: 'Lost'): pass", "NameError: name 'Lost' is not defined"),
        ("import typing\ndef method(search, seed, params: typing.Any): pass", "cannot be used"),
        ("method = len", "cannot be used"),
        ("class method: pass", "its objects cannot be called with (search, seed)"),
        ("class method:\n def __call__(self, search): pass", "TypeError: too many positional"),
        (
            "class P:\n def __init__(self, n): pass\ndef method(search, seed, params: P): pass",
            "cannot be used without settings: TypeError",
        ),
    ],
)
def test_a_broken_package_ends_in_one_line(code: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(f"{code}\n")
    record = tmp_path / "broken-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[dtkd_opt.methods]\nbroken = broken:method\n")
    done = dtkd_opt(tmp_path, "solve", INSTANCES / "n5.json", "--method", "broken")
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert "broken" in done.stderr


OWN = """
from __future__ import annotations
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from dtkd_opt.methods.search import Search

@dataclass(frozen=True)
class Mine:
    rounds: int = 3

def plain(search: Search, seed: int, params: Mine):
    assert params.rounds == 3
    search.try_incumbent(search.options.start[:-1])
    return "heuristic_end"

def beside_none(search: Search, seed: int, params: Mine | None):
    return plain(search, seed, params)

def optional(search: Search, seed: int, params: Optional[Mine] = None):
    return plain(search, seed, params)

def loud(search: Search, seed: int, params: Mine, volume: int):
    return plain(search, seed, params)

part = functools.partial(loud, volume=11)

@functools.lru_cache(None)
def wrapped(search: Search, seed: int, params: Mine):
    return plain(search, seed, params)

class Callable:
    def __call__(self, search: Search, seed: int, params: Mine):
        return plain(search, seed, params)

    def method(self, search: Search, seed: int, params: Mine):
        return plain(search, seed, params)

called = Callable()
bound = called.method

@dataclass(frozen=True)
class Own:
    rounds: int = 3

    def __call__(self, search: Search, seed: int):
        return plain(search, seed, self)

def without(search, seed):
    return plain(search, seed, Mine())
"""


def bring(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, value: str) -> None:
    """Another package's method, as an entry point in this process."""
    entry = EntryPoint(name, value, "dtkd_opt.methods")
    monkeypatch.setattr("dtkd_opt.methods.registry.entry_points", lambda group: (entry,))
    monkeypatch.syspath_prepend(folder)


@pytest.mark.parametrize(
    "name",
    ["plain", "beside_none", "optional", "part", "wrapped", "called", "bound", "Own", "without"],
)
def test_what_can_be_called_like_a_method_is_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_ones.py").write_text(OWN)
    bring(monkeypatch, tmp_path, "own", f"own_ones:{name}")
    instance = do.generate_instance(4)
    result = do.solve(instance, "own")
    assert do.check(instance, result.solution) == []
    assert result.solution.method == "own"
    with pytest.raises(do.InputError, match="own takes no settings, got rounds"):
        do.get_method("own", rounds=3)  # they are no record
    ((_, spec),) = build_specs([instance], ["own"], {}, 1, (1e-6, None, None))
    assert spec.settings == {}


def test_a_namesake_of_one_of_ours_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch, tmp_path, "greedy", "own_ones:plain")
    registry._namesakes.cache_clear()
    try:
        with pytest.raises(do.UsageError, match="own_ones:plain brings another one of that name"):
            do.solve(do.generate_instance(4), "greedy")
        assert do.solve(do.generate_instance(4), "random").incumbent is not None
    finally:
        registry._namesakes.cache_clear()


def test_an_object_has_the_name_of_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of methods that are not in it, the name of the class or function."""
    (tmp_path / "own_names.py").write_text(OWN)
    bring(monkeypatch, tmp_path, "mine", "own_names:Own")
    import own_names  # type: ignore[import-not-found]

    instance = do.generate_instance(4)
    with_three = functools.partial(own_names.plain, params=own_names.Mine(3))
    for method, name in (
        (do.AllDevice(), "all-device"),
        (do.QLearning(rounds=3), "q-learning"),
        (do.get_method("random"), "random"),
        (own_names.Own(), "mine"),
        (own_names.Own, "mine"),
        (own_names.called, "callable"),
        (own_names.beside_none, "beside-none"),
        (with_three, "plain"),
    ):
        assert do.solve(instance, method).solution.method == name


def test_what_is_no_method_is_refused() -> None:
    for given in (3, None, object(), do.Stop(), do.Instance):
        with pytest.raises(do.UsageError, match="method must be a name, a method such as Price"):
            do.solve(do.generate_instance(4), given)  # type: ignore[arg-type]


def test_settings_by_name_are_those_of_the_object() -> None:
    assert do.get_method("exact", fixing=False) == do.Exact(fixing=False)
    assert do.get_method("auto") == do.Price()
    assert repr(do.QLearning(rounds=3)).startswith("QLearning(cold=False, rounds=3, ")
    with pytest.raises(do.InputError, match="q-learning: rounds: must be at least 1, got 0"):
        do.get_method("q-learning", rounds=0)


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    instance = do.generate_instance(3)
    with pytest.raises(do.UsageError, match='no method "qlearning"; did you mean "q-learning"'):
        do.solve(instance, "qlearning")
    with pytest.raises(do.UsageError, match='no method "magic"; choose one of auto, price'):
        do.solve(instance, "magic")

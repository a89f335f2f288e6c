"""How the house is built: rooms and layers as CONTRIBUTING.md has them, and what starting loads."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from tests.support.paths import ROOT

FILES = sorted([*(ROOT / "dtkd_opt").rglob("*.py"), *(ROOT / "formulations").rglob("*.py")])
NAMES = [file.relative_to(ROOT).as_posix() for file in FILES]
TESTS = sorted(file.relative_to(ROOT).as_posix() for file in (ROOT / "tests").rglob("*.py"))
LONGEST = 300  # lines of a file
OF_NO_MODULE = (  # tests of the whole, of the site, of scripts, of many modules at once
    r"tests/test_(house|packaging)|tests/(docs|experiments)/.*|"
    r"tests/methods/test_all_methods|tests/formulations/test_agreement"
)
SOLVERS = ("highspy", "clarabel", "pyomo.contrib.appsi", "pyomo.contrib.solver", "pyomo.opt")


def layers() -> list[str]:
    """The packages from the top down, as import-linter holds them."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[str] = config["tool"]["importlinter"]["contracts"][0]["layers"]
    return [name.removeprefix("dtkd_opt.") for name in found]


def imported(name: str) -> Iterator[tuple[str, str]]:
    """Every (module, name in it) that a file imports with `from`, wherever it stands."""
    path = ROOT / name
    package = ".".join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield from ((module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def test_layers_hold() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_every_package_is_a_layer_and_in_contributing() -> None:
    inside = (ROOT / "dtkd_opt").iterdir()
    packages = {path.name for path in inside if path.is_dir() and path.name != "__pycache__"}
    assert {*layers()} == {*packages, "errors"}
    words = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", words, re.MULTILINE)
    assert listed == layers()[::-1]


def test_few_files_lie_at_the_top() -> None:
    inside = (ROOT / "dtkd_opt").iterdir()
    assert {path.name for path in inside if path.is_file()} == {
        "__init__.py", "__main__.py", "errors.py", "py.typed"
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_modules_named_in_texts_are_in_lower_packages(name: str) -> None:
    """import-linter does not see what `import_module` is given."""
    order, own = layers()[::-1], name.split("/")[1]
    if own not in order:
        return  # the top re-exports everything
    named = re.findall(r'"dtkd_opt\.(\w+)[\w.:]*"', (ROOT / name).read_text(encoding="utf-8"))
    assert [other for other in named if other in order[order.index(own) + 1 :]] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_file_is_too_long(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("name", [*NAMES, *TESTS])
def test_nobody_imports_a_private_name(name: str) -> None:
    private = re.compile(r"(?:^|\.)_[a-z]\w*")  # not __version__
    ours = [
        f"{module}.{what}"
        for module, what in imported(name)
        if module.split(".")[0] in ("dtkd_opt", "tests")
    ]
    assert [where for where in ours if private.search(where)] == []


def has_a_room(test: str) -> bool:
    """Whether a test file is named like a module or package.

    What would be too much for one file is a folder with the module's name, a file an aspect;
    so may be the tests of a package within a package.
    """

    def is_module(path: Path) -> bool:
        return path.with_suffix(".py").is_file() or path.is_dir()

    path = Path(test.removesuffix(".py"))
    folder = ROOT / "dtkd_opt" / path.parent.relative_to("tests")
    name = path.name.removeprefix("test_")
    within = len(path.parts) > 3
    return is_module(folder / name) or (within and is_module(folder))


def test_every_test_file_mirrors_a_module() -> None:
    files = [name for name in TESTS if re.search(r"/test_\w+\.py$", name)]
    others = [name for name in files if not has_a_room(name)]
    assert [name for name in others if not re.fullmatch(rf"({OF_NO_MODULE})\.py", name)] == []


@pytest.mark.parametrize(
    ("test", "room"),
    [
        ("tests/problem/test_options.py", True),
        ("tests/problem/options/test_limits.py", True),
        ("tests/proof/verify/test_changes.py", True),
        ("tests/formulations/test_minlp.py", True),
        ("tests/problem/test_option_limits.py", False),
        ("tests/limits/test_options.py", False),
        ("tests/problem/limits/test_options.py", False),
        ("tests/test_limits.py", False),
    ],
)
def test_rooms_are_told_from_what_is_none(test: str, room: bool) -> None:
    assert has_a_room(test) == room


def test_only_solvers_call_solvers() -> None:
    def calls(name: str) -> bool:
        if "SolverFactory" in (ROOT / name).read_text(encoding="utf-8"):
            return True
        return any(
            module == solver or module.startswith(f"{solver}.")
            for module, _ in imported(name)
            for solver in SOLVERS
        )

    assert {name.rsplit("/", 1)[0] for name in NAMES if calls(name)} == {"dtkd_opt/solvers"}


@pytest.mark.parametrize("words", [[], ["--help"]], ids=["import", "help"])
def test_starting_loads_no_solver_and_no_plotting(words: list[str]) -> None:
    """Neither `import dtkd_opt` nor `dtkd-opt --help`."""
    use = "import dtkd_opt" if not words else "from dtkd_opt.commands.main import main; main()"
    code = (
        f"import sys; sys.argv = ['dtkd-opt', *{words}]\n"
        f"try: {use}\n"
        "except SystemExit: pass\n"
        "heavy = {'pyomo', 'highspy', 'torch', 'matplotlib', 'pandas', 'scipy', 'rich'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.endswith("loaded: []\n"), done.stdout + done.stderr


def test_without_extras_the_package_can_be_looked_at() -> None:
    """What needs one is named, and says which when it is used."""
    code = (
        "import sys, inspect; sys.modules['torch'] = sys.modules['safetensors'] = None\n"
        "import dtkd_opt as do\n"
        "from dtkd_opt import *\n"
        "assert {'DQN', 'fedavg', 'calibrate'} <= {name for name, _ in inspect.getmembers(do)}\n"
        "for name in ('DQN', 'fedavg', 'calibrate'):\n"
        "    try: getattr(do, name)()\n"
        "    except do.InputError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all('pip install "dtkd-opt[' in line for line in lines)

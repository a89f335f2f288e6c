"""How the house is built: who may import whom by CONTRIBUTING.md, one door to the solvers."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FILES = sorted([*(ROOT / "dtkd_opt").rglob("*.py"), *(ROOT / "formulations").rglob("*.py")])
NAMES = [file.relative_to(ROOT).as_posix() for file in FILES]
ORDER = ["0", "1", "algebra", "2", "3", "4"]  # of the table's rows
SOLVERS = ("highspy", "pyomo.contrib.appsi", "pyomo.contrib.solver", "pyomo.opt", "pyomo.solvers")


def level_table(text: str) -> dict[str, str]:
    """The level of each file, or of each folder (ending in /), as CONTRIBUTING.md has it."""
    found = {}
    for level, files in re.findall(r"^\| (\d|algebra)\b[^|]*\| (.*) \|$", text, re.MULTILINE):
        folder = ""
        for name in re.findall(r"`([\w/]+(?:\.py|/))`", files):
            if name.endswith("/"):  # the row's other files are in this folder
                folder = name if name == "formulations/" else f"dtkd_opt/{name}"
                found[folder] = level
            else:
                found[f"{folder or 'dtkd_opt/'}{name}"] = level
    return found


LEVELS = {
    **level_table((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")),
    "dtkd_opt/__init__.py": "4",
}


def level_of(name: str) -> str | None:
    """A file's own level, else that of the nearest folder that has one."""
    for place in (name, *(f"{parent.as_posix()}/" for parent in Path(name).parents)):
        if place in LEVELS:
            return LEVELS[place]
    return None


def file_of(module: str) -> str | None:
    """The file of a module of this project; None of anything else."""
    path = module.replace(".", "/")
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if name in NAMES), None)


def imported(name: str) -> Iterator[str]:
    """Every module or name in one that a file imports anywhere, as `a.b.c`."""
    path = Path(name)
    package = ".".join(path.parent.parts)
    for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):  # for import_module
            named = re.match(r"(?:dtkd_opt|formulations)(?:\.\w+)+", node.value)
            if named:
                yield named[0]


def files_imported(name: str) -> set[str]:
    """The project's files that a file imports; the version may be had by all."""
    found = set()
    for what in set(imported(name)) - {"dtkd_opt.__version__"}:
        parts = what.split(".")
        files = (file_of(".".join(parts[:end])) for end in range(len(parts), 0, -1))
        file = next((file for file in files if file is not None), None)
        if file is not None:
            found.add(file)
    return found


def uses_solver(name: str) -> bool:
    text = (ROOT / name).read_text(encoding="utf-8")
    names = [f"{what}." for what in imported(name)]
    return "SolverFactory" in text or any(
        what.startswith(f"{solver}.") for what in names for solver in SOLVERS
    )


def test_every_module_has_a_level_and_every_name_in_the_table_a_module() -> None:
    assert sorted(set(LEVELS.values())) == sorted(ORDER)
    assert [name for name in NAMES if level_of(name) is None] == []
    assert [name for name in LEVELS if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_imports_go_down_only(name: str) -> None:
    """Inside functions and for type checking too; formulations serve the methods and above."""
    level = level_of(name)
    if level is None:
        pytest.fail(f"{name} is in no row of CONTRIBUTING.md's table")
    allowed = set(ORDER[: ORDER.index(level) + 1]) - ({"algebra"} if level == "2" else set())
    found = {other: level_of(other) for other in files_imported(name)}
    assert {other: at for other, at in found.items() if at not in allowed} == {}


def test_imports_are_found_wherever_they_stand() -> None:
    """One known import of each kind, so that the tests above do not look at nothing."""
    assert "dtkd_opt/problem/physics.py" in files_imported(
        "dtkd_opt/problem/evaluate.py"
    )  # from package
    assert "dtkd_opt/problem/options.py" in files_imported(
        "dtkd_opt/pricing/lagrangian.py"
    )  # from module
    assert "formulations/perspective.py" in files_imported("dtkd_opt/methods/exact.py")  # inside
    assert "dtkd_opt/solvers/highs.py" in files_imported(
        "dtkd_opt/__init__.py"
    )  # for type checking
    assert "dtkd_opt/methods/baselines.py" in files_imported("dtkd_opt/methods/__init__.py")  # text


def test_solvers_are_called_by_highs_only() -> None:
    assert [name for name in NAMES if uses_solver(name)] == ["dtkd_opt/solvers/highs.py"]


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

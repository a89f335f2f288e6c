"""Wheel, sdist, a wheel from the sdist, an editable install: all have `dtkd_opt.formulations`."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FORMULATIONS = {file.name for file in (ROOT / "formulations").iterdir() if file.is_file()}

# Run without `site` and PYTHONPATH, so that no other installation is found than that in argv[1];
# argv[2] has its dependencies.
LOOK = """
import importlib.util, site, sys
site.addsitedir(sys.argv[1])
sys.path.append(sys.argv[2])
import dtkd_opt
print(dtkd_opt.__file__)
print(importlib.util.find_spec("dtkd_opt.formulations.perspective").origin)
print(importlib.util.find_spec("formulations") is not None)
"""


def build(source: Path, out: Path, kind: str) -> Path:
    """One distribution of a source tree, by the hooks that pip calls; needs no network."""
    call = f"import hatchling.build as b, sys; print(b.build_{kind}(sys.argv[1]))"
    command = [sys.executable, "-c", call, str(out)]
    run = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    return out / run.stdout.split()[-1]


def installed(wheel: Path, folder: Path) -> tuple[Path, Path, bool]:
    """Files of the package and of a formulation, and whether `formulations` is a name."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    command = [sys.executable, "-I", "-S", "-c", LOOK, str(folder), sysconfig.get_path("purelib")]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    package, formulation, named = run.stdout.split("\n")[:3]
    return Path(package), Path(formulation), named == "True"


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    packed = build(ROOT, folder, "sdist")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    return folder / packed.name.removesuffix(".tar.gz")


@pytest.mark.parametrize("source", ["checkout", "sdist"])
def test_a_wheel_has_the_formulations_and_not_their_name(
    source: str, sdist: Path, tmp_path: Path
) -> None:
    wheel = build(ROOT if source == "checkout" else sdist, tmp_path, "wheel")
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    assert {Path(name).name for name in names if "formulations/" in name} == FORMULATIONS
    folder = tmp_path / "installed"
    package, formulation, named = installed(wheel, folder)
    assert package == folder / "dtkd_opt" / "__init__.py"
    assert formulation == folder / "dtkd_opt" / "formulations" / "perspective.py"
    assert not named


def test_an_sdist_holds_the_formulations_once(sdist: Path) -> None:
    found = [file.relative_to(sdist) for file in sdist.rglob("perspective.py")]
    assert found == [Path("dtkd_opt/formulations/perspective.py")]
    assert not (sdist / "dtkd_opt" / "formulations").is_symlink()


def test_an_editable_install_reads_the_checkout(tmp_path: Path) -> None:
    package, formulation, _ = installed(build(ROOT, tmp_path, "editable"), tmp_path / "installed")
    assert package == ROOT / "dtkd_opt" / "__init__.py"
    assert formulation.resolve() == ROOT / "formulations" / "perspective.py"

"""Files that commit be7324c wrote, before the packages by subject: read, true and proven as then.

`tests/data/be7324c` holds an instance (`generate_instance(6, 2, 3)`, half of the users with each
limit), its solution by `price` and the certificate of that, as JSON and with Parquet tables.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import dtkd_opt as do
from tests.support.command_line import run
from tests.support.paths import DATA

FOLDER = DATA / "be7324c"


@pytest.fixture(params=["json", "parquet"])
def name(request: pytest.FixtureRequest) -> str:
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return f"n6-{request.param}"


@pytest.mark.parametrize("arithmetic", ["balls", "arrays"])
def test_they_are_read_checked_and_verified(name: str, arithmetic: Any) -> None:
    if arithmetic == "balls":
        pytest.importorskip("flint")
    instance = do.read_instance(FOLDER / f"{name}.json")
    solution = do.read_solution(FOLDER / f"{name}.solution.json")
    certificate = do.read_certificate(FOLDER / f"{name}.certificate.json")
    assert do.check(instance, solution) == []
    assert do.verify(instance, certificate, arithmetic=arithmetic) == []
    assert (solution.status, certificate.n_leaves) == ("optimal", 13)


def test_both_forms_hold_the_same() -> None:
    pytest.importorskip("pyarrow")
    first, second = (do.read_instance(FOLDER / f"n6-{form}.json") for form in ("json", "parquet"))
    assert first == second
    assert second.has_hash(first.hash_contents())


def test_they_are_written_as_then(name: str, tmp_path: Path) -> None:
    """Byte for byte, but for the Parquet tables, which depend on pyarrow."""
    users: Any = name.removeprefix("n6-")
    do.write_instance(do.read_instance(FOLDER / f"{name}.json"), tmp_path / f"{name}.json", users)
    solution = do.read_solution(FOLDER / f"{name}.solution.json")
    do.write_solution(solution, tmp_path / f"{name}.solution.json", users)
    certificate = do.read_certificate(FOLDER / f"{name}.certificate.json")
    file = tmp_path / f"{name}.certificate.json"
    do.write_certificate(certificate, file, parquet=users == "parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        path.name for path in FOLDER.glob(f"{name}.*")
    )
    for path in tmp_path.glob("*.json"):
        assert path.read_bytes() == (FOLDER / path.name).read_bytes()


def test_the_commands_take_them(name: str) -> None:
    pytest.importorskip("flint")
    instance = FOLDER / f"{name}.json"
    for command, other in (("check", "solution"), ("verify", "certificate")):
        done = run(command, instance, FOLDER / f"{name}.{other}.json")
        assert (done.returncode, done.stderr) == (0, "")

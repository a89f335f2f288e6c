"""The commands `certify` and `verify`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dtkd_opt as do
from tests.support.command_line import fails, run
from tests.support.instances import BEST
from tests.support.paths import INSTANCES
from tests.support.verifying import load

pytest.importorskip("flint")


def test_certify_then_verify(tmp_path: Path) -> None:
    instance = INSTANCES / "n10-s3.json"
    run("solve", instance, "--output", tmp_path / "s.json")
    done = run("certify", instance, tmp_path / "s.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "feasible for n10-s3" in done.stdout
    assert "gap at most" in done.stdout
    assert "written: n10-s3.certificate.json (verified, arithmetic: balls)" in done.stdout
    checked = run("verify", instance, tmp_path / "n10-s3.certificate.json")
    assert checked.returncode == 0, checked.stderr
    assert "proven for n10-s3" in checked.stdout
    other = run("verify", INSTANCES / "n5.json", tmp_path / "n10-s3.certificate.json")
    fails(other, 1, "n10-s3")


def someone_elses(path: Path) -> do.Solution:
    """A greedy plan with wrong figures and another file's hash, as JSON."""
    solution = do.solve(load("n5"), "greedy").solution
    data = json.loads(solution.to_bytes())
    data |= {"method": "by hand", "instance_sha256": "ab" * 32, "incumbent_objective": 3.0}
    data |= {"objective_bound": None, "gap": None, "status": "feasible"}
    for row in data["users"]:
        row |= {"delay_s": 1.0, "energy_j": 0.0, "accuracy": 0.5}
    path.write_text(json.dumps(data))
    return solution


def test_someone_elses_plan_is_certified_by_its_plan_alone(tmp_path: Path) -> None:
    solution = someone_elses(tmp_path / "s.json")
    instance = INSTANCES / "n5.json"
    assert run("check", instance, tmp_path / "s.json").returncode == 1
    words = ["certify", instance, tmp_path / "s.json", "--output", tmp_path / "c.json"]
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert f"J = {solution.incumbent_objective:.6f} s" in done.stdout
    assert run("verify", instance, tmp_path / "c.json").returncode == 0
    proof = do.read_certificate(tmp_path / "c.json")
    assert proof.objective == pytest.approx(solution.incumbent_objective, rel=1e-11)
    assert proof.bound == pytest.approx(BEST["n5"], rel=1.1e-6)


def test_a_tiny_time_limit_writes_a_valid_certificate(tmp_path: Path) -> None:
    instance, file = tmp_path / "i.json", tmp_path / "c.json"
    do.write_instance(do.generate_instance(25, 3, 0), instance)
    run("solve", instance, "--method", "greedy", "--output", tmp_path / "s.json")
    words = ["--target", "0", "--time-limit", "1e-6", "--output", file]
    done = run("certify", instance, tmp_path / "s.json", *words)
    assert done.returncode == 0, done.stderr
    checked = run("verify", instance, file)
    assert checked.returncode == 0, checked.stderr


def test_an_infeasible_plan_is_refused_and_nothing_written(tmp_path: Path) -> None:
    someone_elses(tmp_path / "s.json")
    data = json.loads((tmp_path / "s.json").read_text())
    for row in data["users"]:
        row["uplink_hz"] *= 1.5
    (tmp_path / "s.json").write_text(json.dumps(data))
    done = run("certify", INSTANCES / "n5.json", tmp_path / "s.json", cwd=tmp_path)
    fails(done, 1, str(tmp_path / "s.json"), 'servers[0] "edge-0"', "overdrawn")
    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["certify", INSTANCES / "n5.json", "nowhere.json"], 1, "nowhere.json: no such file"),
        (["certify", INSTANCES / "n5.json"], 2, "SOLUTION"),
        (["certify", INSTANCES / "n5.json", INSTANCES / "n5.json"], 1, "format"),
        (["verify", INSTANCES / "n5.json", INSTANCES / "n5.json"], 1, "format"),
    ],
)
def test_wrong_use_is_one_clear_message(
    words: list[str | Path], code: int, part: str, tmp_path: Path
) -> None:
    fails(run(*words, cwd=tmp_path), code, part)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [["--target", "-1"], ["--target", "nan"], ["--time-limit", "-3"]])
def test_numbers_that_mean_nothing_are_refused(given: list[str], tmp_path: Path) -> None:
    """As `solve` refuses them."""
    someone_elses(tmp_path / "s.json")
    words = [*given, "--output", tmp_path / "c.json"]
    fails(run("certify", INSTANCES / "n5.json", tmp_path / "s.json", *words), 2)
    assert not (tmp_path / "c.json").exists()

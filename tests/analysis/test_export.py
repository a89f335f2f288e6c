"""Exported models: other solvers read them and reach this project's proven optimum."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import highspy
import pytest

import dtkd_opt as do
from dtkd_opt.analysis.export import Format, Formulation
from dtkd_opt.errors import InfeasibleError, InputError, UsageError
from dtkd_opt.methods.result import Result
from dtkd_opt.records.instance import Instance
from tests.support.paths import INSTANCES as SHIPPED

LIMITS = do.GeneratorSettings(deadlines=0.5, energy_budgets=0.7, accuracy_floors=0.5)
INSTANCES = {
    "one server": do.generate_instance(4, 1, seed=0),
    "two servers, limits": do.generate_instance(4, 2, seed=1, settings=LIMITS),
}
SHOT_RUN = """
import json, os, sys
answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
import SHOTpy
solver = SHOTpy.Solver()
for name, value in {
    "Output.Console.LogLevel": 6,
    "Output.File.LogLevel": 6,
    "Dual.MIP.NumberOfThreads": 1,
    "Model.Convexity.AssumeConvex": True,
    "Termination.ObjectiveGap.Relative": 1e-6,
    "Termination.ObjectiveGap.Absolute": 0.0,
    "Termination.TimeLimit": 60.0,
}.items():
    solver.updateSetting(name, value)
assert solver.setProblem(sys.argv[1])
solver.solveProblem()
print(json.dumps([solver.getPrimalBound(), solver.getGlobalDualBound()]), file=answer, flush=True)
"""


def optimum_by_highs(file: Path) -> float:
    highs = highspy.Highs()
    for key, value in {"output_flag": False, "threads": 1, "mip_rel_gap": 1e-9}.items():
        highs.setOptionValue(key, value)
    assert highs.readModel(str(file)) == highspy.HighsStatus.kOk
    highs.run()
    assert highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(highs.getInfo().objective_function_value)


@pytest.fixture(scope="session")
def optima() -> dict[str, Result]:
    found = {name: do.solve(x, "exact", gap=1e-9) for name, x in INSTANCES.items()}
    assert all(result.status == "optimal" for result in found.values())
    return found


@pytest.fixture
def infeasible() -> Instance:
    """An instance with a user that no plan can serve in time."""
    instance = INSTANCES["one server"]
    late = instance.users[0].replace(deadline_s=1e-9)
    return instance.replace(users=(late, *instance.users[1:]))


@pytest.mark.parametrize("formulation", ["minlp", "perspective"])
@pytest.mark.parametrize("name", INSTANCES)
def test_scip_reaches_the_proven_optimum(
    name: str, formulation: Formulation, optima: dict[str, Result], tmp_path: Path
) -> None:
    import pyscipopt

    file = tmp_path / "model.nl"
    do.export(INSTANCES[name], file, "nl", formulation)
    model = pyscipopt.Model()
    model.hideOutput()
    model.readProblem(str(file))
    model.setParam("limits/gap", 1e-7)
    model.setParam("limits/time", 60.0)
    model.optimize()
    assert model.getStatus() in ("optimal", "gaplimit")
    assert model.getObjVal() == pytest.approx(optima[name].objective, rel=1e-6)
    assert model.getDualbound() == pytest.approx(optima[name].objective, rel=1e-6)


@pytest.mark.parametrize("format", ["lp", "mps"])
@pytest.mark.parametrize("name", INSTANCES)
def test_highs_reaches_the_proven_optimum_of_the_milp(
    name: str, format: Format, optima: dict[str, Result], tmp_path: Path
) -> None:
    file = tmp_path / f"model.{format}"
    do.export(INSTANCES[name], file, format)
    assert optimum_by_highs(file) == pytest.approx(optima[name].objective, rel=2e-6)


@pytest.mark.skipif(importlib.util.find_spec("SHOTpy") is None, reason="SHOTpy is not installed")
@pytest.mark.parametrize("name", INSTANCES)
def test_shot_reaches_the_proven_optimum(
    name: str, optima: dict[str, Result], tmp_path: Path
) -> None:
    """In a process of its own: SHOT and highspy both bring a HiGHS."""
    file = tmp_path / "model.nl"
    do.export(INSTANCES[name], file)
    command = [sys.executable, "-c", SHOT_RUN, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    objective, bound = json.loads(done.stdout)
    assert objective == pytest.approx(optima[name].objective, rel=1e-5)
    assert bound == pytest.approx(optima[name].objective, rel=1e-5)


def test_perspective_is_the_default_of_nl(tmp_path: Path) -> None:
    instance = INSTANCES["one server"]
    do.export(instance, tmp_path / "default.nl")
    do.export(instance, tmp_path / "named.nl", "nl", "perspective")
    do.export(instance, tmp_path / "other.nl", "nl", "minlp")
    default, named, other = (
        (tmp_path / f"{n}.nl").read_bytes() for n in ("default", "named", "other")
    )
    assert default == named != other


@pytest.mark.parametrize(
    ("format", "formulation", "words"),
    [
        ("gms", None, "nl, lp or mps"),
        ("nl", "convex", "minlp or perspective"),
        ("lp", "minlp", "linear models only"),
        ("mps", "minlp", "linear models only"),
    ],
)
def test_what_cannot_be_written_is_refused(
    format: Format, formulation: Formulation | None, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        do.export(INSTANCES["one server"], tmp_path / "model", format, formulation)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("format", "formulation"),
    [("nl", "minlp"), ("nl", "perspective"), ("lp", None), ("mps", None)],
)
def test_no_feasible_solution(
    format: Format, formulation: Formulation | None, infeasible: Instance, tmp_path: Path
) -> None:
    with pytest.raises(InfeasibleError, match="u0"):
        do.export(infeasible, tmp_path / "model", format, formulation)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        do.export(INSTANCES["one server"], tmp_path / "missing" / "model.nl")
    assert not list(tmp_path.iterdir())


def test_a_failing_write_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "model.nl"
    file.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        do.export(INSTANCES["one server"], file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("rho", [1.0, 1000.0])
def test_linear_export_is_in_seconds_whatever_the_objective_weighs(
    rho: float, tmp_path: Path
) -> None:
    """The unit of time that `exact` gives HiGHS must not reach the file."""
    instance = do.generate_instance(5).replace(seconds_per_error=rho)
    file = tmp_path / "m.lp"
    assert do.export(instance, file, "lp") <= 1e-6
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.readModel(str(file))
    solver.setOptionValue("mip_rel_gap", 1e-8)
    solver.run()
    found = solver.getInfo().objective_function_value
    assert found == pytest.approx(do.solve(instance).objective, rel=2e-6)


POOLS = ("uplink_hz", "downlink_hz", "cpu_hz")


def with_pools(instance: Instance, pools: Sequence[str], factor: float) -> Instance:
    """The instance with some pools of all servers a factor as large."""
    servers = [s.replace(**{p: getattr(s, p) * factor for p in pools}) for s in instance.servers]
    return instance.replace(servers=servers)


def optimum_by_scip(file: Path) -> float:
    model = pytest.importorskip("pyscipopt").Model()
    model.hideOutput()
    model.readProblem(str(file))
    model.setParam("limits/gap", 1e-7)
    model.setParam("limits/time", 300.0)
    model.optimize()
    assert model.getStatus() in ("optimal", "gaplimit")
    return float(model.getObjVal())


FACTORS = [10.0**e for e in (-9, -6, -3, 3, 6, 9)]
SIZES = [((pool,), factor) for pool in POOLS for factor in FACTORS] + [(POOLS, f) for f in FACTORS]
QUICK = [(("downlink_hz",), 1e3), (("cpu_hz",), 1e-9), (("uplink_hz",), 1e9), (POOLS, 1e9)]


@pytest.mark.parametrize(
    ("pools", "factor"),
    [pytest.param(*size, marks=() if size in QUICK else pytest.mark.slow) for size in SIZES],
    ids=lambda value: f"{value:.0e}" if isinstance(value, float) else "-".join(value),
)
def test_a_pool_of_any_size_leaves_the_optimum_in_the_files(
    pools: Sequence[str], factor: float, tmp_path: Path
) -> None:
    """Of both linear files by HiGHS, and of one by SCIP."""
    instance = with_pools(do.read_instance(SHIPPED / "n10-s3.json"), pools, factor)
    best = do.solve(instance, gap=1e-7).objective
    for format in ("lp", "mps"):
        file = tmp_path / f"model.{format}"
        assert do.export(instance, file, format) <= 1e-6
        assert optimum_by_highs(file) == pytest.approx(best, rel=1e-6)
    assert optimum_by_scip(file) == pytest.approx(best, rel=1e-6)


def test_an_absurd_student_spoils_no_nonlinear_model(tmp_path: Path) -> None:
    """Beside a need of 1e26 bits all others would be nothing in its units."""
    instance = do.generate_instance(3, seed=0)
    best = do.solve(instance, gap=1e-8).objective
    absurd = instance.models[0].replace(name="absurd", bits=1e26)
    do.export(instance.replace(models=[*instance.models, absurd]), tmp_path / "m.nl")
    assert optimum_by_scip(tmp_path / "m.nl") == pytest.approx(best, rel=1e-6)

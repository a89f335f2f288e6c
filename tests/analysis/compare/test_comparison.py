"""`compare`: figures, checks, resuming, workers here and of Dask."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dtkd_opt as do
from tests.support.comparing import N5, N10, WRITTEN, dask, lines, run, wait_for, words

METRICS = ["incumbent_objective", "objective_bound", "gap", "mean_accuracy", "total_delay_s"]


def test_figures_are_those_of_solve_and_checked(tmp_path: Path) -> None:
    instances = [do.read_instance(N5), do.read_instance(N10)]
    seen: list[tuple[int, int]] = []
    found = do.compare(
        instances, ["price", "random"], seeds=3, output=tmp_path, jobs=2,
        callback=lambda *count: seen.append(count),
    )  # fmt: skip
    assert seen == [(done, 12) for done in range(13)]
    assert not found.interrupted
    assert sorted(os.listdir(tmp_path)) == WRITTEN
    expected = [
        [i.name, m, s, *(getattr(do.solve(i, m, seed=s).solution, key) for key in METRICS)]
        for i in instances
        for m in ("price", "random")
        for s in range(3)
    ]
    assert found.runs[["instance", "method", "seed", *METRICS]].values.tolist() == expected
    assert set(found.runs.outcome) == {"plan"}
    read = pd.read_csv(tmp_path / "runs.csv")
    assert read[METRICS].equals(found.runs[METRICS])
    objectives = [row[3] for row in expected if row[:2] == ["n5", "random"]]
    (row,) = found.summary.query("instance == 'n5' and method == 'random'").to_dict("records")
    assert (row["runs"], row["failed"], row["no_plan"]) == (3, 0, 0)
    assert row["incumbent_objective_min"] == min(objectives)
    assert row["incumbent_objective_median"] == np.median(objectives)
    assert row["incumbent_objective_max"] == max(objectives)
    assert found.histories.query("instance == 'n10' and seed == 1").gap.min() < 1e-6


def test_wrong_and_failing_methods_are_rows(tmp_path: Path, env: dict[str, str]) -> None:
    given = words(N5, methods="price broken wrong boasting", output=tmp_path / "out")
    done = run(given, env)
    assert (done.returncode, done.stderr) == (1, "")
    claimed = do.solve(do.read_instance(N5), "greedy").objective
    for line in (
        "failed: broken on n5, seed 1: RuntimeError: lost with 1 thread\n",
        'failed: wrong on n5, seed 0: check: servers[0] "edge-0": its uplink pool of',
        f"failed: boasting on n5, seed 0: its bound {claimed:.9g} is above the plan of price, ",
    ):
        assert line in done.stdout
    summary = pd.read_csv(tmp_path / "out" / "summary.csv").set_index("method")
    assert summary.failed.to_dict() == {"price": 0, "broken": 2, "wrong": 2, "boasting": 2}
    assert summary.incumbent_objective_median.isna().tolist() == [False, True, True, True]
    versions = {row["spec"]["method"]: row["spec"]["version"] for row in lines(tmp_path / "out")}
    assert versions["price"] == f"dtkd-opt {do.__version__}"
    assert versions["wrong"] == f"dtkd-opt {do.__version__} + faulty-methods 1.2"
    run(given, env)
    methods = [row["spec"]["method"] for row in lines(tmp_path / "out")]
    again = sorted(methods[8:])  # those that only another's plan refutes too
    assert again == ["boasting", "boasting", "broken", "broken", "wrong", "wrong"]


def test_no_plan_is_a_row_with_its_reason(tmp_path: Path) -> None:
    instance = do.read_instance(N5)
    users = [user.replace(deadline_s=1e-7) for user in instance.users]
    tight = instance.replace(name="tight", users=users)
    found = do.compare([tight], ["price", "greedy"], seeds=1, output=tmp_path)
    assert found.runs.outcome.tolist() == ["no_plan"] * 2
    assert found.runs.status.tolist() == ["infeasible"] * 2
    assert found.runs.reason.str.startswith("tight has no feasible solution: users[0]").all()
    assert found.summary.no_plan.tolist() == [1, 1]
    assert sorted(os.listdir(tmp_path)) == WRITTEN


def test_results_of_another_spec_are_never_mixed_in(tmp_path: Path) -> None:
    instance = do.read_instance(N5)
    common: dict[str, Any] = {
        "instances": [instance],
        "methods": ["greedy"],
        "seeds": 1,
        "output": tmp_path,
    }
    do.compare(**common)
    changed = instance.replace(seconds_per_error=90.0)
    for more, part in (
        ({"gap": 1e-4}, "gap_target 1e-06 where now 0.0001"),
        ({"time_limit": 9}, "time_limit_s none where now 9.0"),
        ({"methods": ["random"]}, "method greedy where now random"),
        ({"instances": [changed]}, "instance_sha256"),
    ):
        with pytest.raises(do.InputError, match="name another folder, or give --fresh") as error:
            do.compare(**common | more)
        assert part in str(error.value)
        assert len(lines(tmp_path)) == 1
    larger = do.compare(**common | {"seeds": 2, "methods": ["greedy", "random"]})
    assert len(larger.runs) == 4  # more of the same spec
    assert len(lines(tmp_path)) == 4
    fresh = do.compare(**common | {"gap": 1e-4, "resume": False})
    assert fresh.runs.gap_target.tolist() == [1e-4]
    assert len(lines(tmp_path)) == 1


def test_damaged_journal_names_the_line(tmp_path: Path) -> None:
    do.compare([do.read_instance(N5)], ["greedy"], seeds=2, output=tmp_path)
    journal = tmp_path / "runs.jsonl"
    text = journal.read_text().replace('"outcome":"plan"', '"outcome":"fine"', 1)
    journal.write_text(text)
    with pytest.raises(do.InputError, match=r"runs\.jsonl, line 1: outcome: must be"):
        do.compare([do.read_instance(N5)], ["greedy"], seeds=2, output=tmp_path)
    assert journal.read_text() == text


def test_a_system_without_fcntl_imports_too() -> None:
    code = "import sys; sys.modules['fcntl'] = None\nimport dtkd_opt.analysis.compare"
    assert subprocess.run([sys.executable, "-c", code], cwd=N5.parents[1]).returncode == 0


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"methods": "greedy"}, "methods must be a list of methods, got 'greedy'"),
        ({"methods": ["greedy", 3]}, r"methods must be a list of methods, got \['greedy', 3\]"),
        ({"methods": None}, "methods must be a list of methods, got None"),
        (
            {"instances": do.read_instance(N5)},
            "instances must be a list of instances, got <Instance",
        ),
        ({"instances": [str(N5)]}, r"instances must be a list of instances, got \['"),
        ({"methods": ["magic"]}, 'no method "magic"; choose'),
        ({"methods": do.Greedy()}, r"methods must be a list of methods, got Greedy\(\)"),
        ({"methods": []}, "at least one method"),
        ({"methods": ["price", "price"]}, "given 2 times"),
        ({"seeds": 0}, "seeds must be"),
        ({"jobs": 0}, "jobs must be"),
        ({"gap": float("inf")}, "finite"),
        ({"time_limit": -1.0}, "time_limit must be"),
        ({"iterations": 0}, "iterations must be"),
    ],
)
def test_wrong_use_is_refused_before_anything_runs(
    given: dict[str, Any], part: str, tmp_path: Path
) -> None:
    valid: dict[str, Any] = {
        "instances": [do.read_instance(N5)],
        "methods": ["price"],
        "output": tmp_path / "out",
    }
    with pytest.raises(do.UsageError, match=part):
        do.compare(**valid | given)
    assert not (tmp_path / "out").exists()


def test_missing_extra_and_bad_places_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instances = [do.read_instance(N5)]
    (tmp_path / "file").write_text("")
    with pytest.raises(do.InputError, match=r"file/runs\.jsonl: cannot be written"):
        do.compare(instances, ["greedy"], output=tmp_path / "file")
    with pytest.raises(do.InputError, match=r"must be such as tcp://127\.0\.0\.1:8786"):
        do.compare(instances, ["greedy"], dask="nowhere")
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(do.InputError, match=r'needs joblib: pip install "dtkd-opt\[compare\]"'):
        do.compare(instances, ["greedy"])


def test_dask_workers_do_the_same(tmp_path: Path) -> None:
    given = words(N5, N10, methods="random q-learning", output=tmp_path / "out", seeds=4)
    given += ["--cold", "--iterations", "30"]
    worker = partial(dask, "worker", tmp_path, "--no-nanny", "--nthreads")
    with dask("scheduler", tmp_path, "--port", "0") as address, worker("1"), worker("1"):
        log = tmp_path / "log"
        wait_for(lambda: log.read_text().count("Registered to:") == 2)
        done = run([*given, "--dask", address])
        with worker("2"):
            wait_for(lambda: log.read_text().count("Registered to:") == 3)
            refused = run([*given, "--fresh", "--dask", address])
    assert (done.returncode, done.stderr) == (0, "")
    assert len({row["worker"] for row in lines(tmp_path / "out")}) == 2
    here = do.compare(
        list(map(do.read_instance, (N5, N10))), ["random", "q-learning"], seeds=4, iterations=30,
        settings={"q-learning": do.QLearning(cold=True)},
    ).runs  # fmt: skip
    there = pd.read_csv(tmp_path / "out" / "runs.csv")
    assert there[[*METRICS, "settings"]].equals(here[[*METRICS, "settings"]])
    assert refused.returncode == 1
    assert "a worker has 2 threads" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1

"""This project's `exact`, SCIP and SHOT on the same problems, side by side: peers.csv.

    python experiments/peers.py                   # n5, n10 and n20 to a gap of 1e-4: up to an hour
    python experiments/peers.py --instances n5 --time-limit 60 --output n5.csv

Every run has a process of its own and one thread. SCIP (PySCIPOpt) and SHOT (SHOTpy) read what
`dtkd-opt export --format nl` writes, in both formulations. Exit code 1 if a peer contradicts a
proven best value of instances/best.csv: that would be a bug, theirs or ours.

| column | meaning |
|---|---|
| solve_s | the solver's own solve call; for this project all of `do.solve` once imported |
| total_s | the whole process: imports, reading, solving |
| ratio | solve_s over this project's in the same run; after a time limit it is at least this |
| gap | (objective - bound) / abs(objective), of what the solver itself says |
| objective_error | objective over the proven best value, less one |
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common import INSTANCES, best_values, provenance, write_csv
from rich.console import Console
from rich.table import Table

import dtkd_opt as do
from dtkd_opt.analysis.export import Formulation

OURS, NO_FIXING, SCIP, SHOT = "dtkd-opt", "dtkd-opt --no-fixing", "SCIP", "SHOT"
FORMULATIONS: tuple[Formulation, ...] = ("minlp", "perspective")
RUNS = ((OURS, "-"), (NO_FIXING, "-"), *((s, f) for s in (SCIP, SHOT) for f in FORMULATIONS))
COLUMNS = (
    "instance", "solver", "formulation", "gap_target", "status", "objective", "bound", "gap",
    "solve_s", "total_s", "ratio", "objective_error", "note",
)  # fmt: skip
GRACE_S = 60.0  # beyond the time limit, then the process is ended
TOLERANCE = 1e-6  # the relative accuracy to which peers keep their constraints
PACKAGES = ("dtkd-opt", "highspy", "pyomo", "PySCIPOpt", "SHOTpy")
HEURISTIC = "nonconvex as written: SHOT is a heuristic here and its bound no proof"
Row = dict[str, Any]


def run_ours(solver: str, file: str, gap: float, limit: float) -> Row:
    """This project: options, prices, Pyomo and HiGHS are timed, their import is not."""
    import pyomo.contrib.appsi.solvers.highs  # noqa: F401

    import dtkd_opt.formulations.perspective  # noqa: F401

    method = do.Exact(fixing=solver == OURS, highs=do.HighsSettings(threads=1))
    instance = do.read_instance(file)
    result = do.solve(instance, method, gap=gap, time_limit=limit)
    late = result.solution.termination == "time_limit"
    return {
        "status": "time_limit" if late else result.status,
        "objective": result.objective,
        "bound": result.bound,
        "solve_s": result.solution.runtime_s,
        "note": f"ended with: {result.history[-1].phase}" if result.history else result.reason,
    }


def run_scip(file: str, gap: float, limit: float) -> Row:
    """SCIP with its default settings."""
    import pyscipopt

    model = pyscipopt.Model()
    model.hideOutput()
    model.readProblem(file)
    model.setParam("limits/gap", gap)
    model.setParam("limits/time", limit)
    model.setParam("lp/threads", 1)
    started = time.monotonic()
    model.optimize()
    solve_s = time.monotonic() - started
    status = str(model.getStatus())
    known = {"optimal": "optimal", "gaplimit": "optimal", "timelimit": "time_limit"}
    release = [getattr(model, f"get{part}Version")() for part in ("Major", "Minor", "Tech")]
    return {
        "status": known.get(status, status),
        "objective": model.getObjVal() if model.getNSols() else None,
        "bound": model.getDualbound(),
        "solve_s": solve_s,
        "note": f"SCIP {'.'.join(map(str, release))}, {model.getNTotalNodes()} nodes",
    }


def run_shot(file: str, convex: bool, gap: float, limit: float) -> Row:
    """SHOT; it assumes convexity only of the formulation that is convex."""
    import SHOTpy

    solver = SHOTpy.Solver()
    settings = {
        "Output.Console.LogLevel": 6,  # off
        "Output.File.LogLevel": 6,
        "Dual.MIP.NumberOfThreads": 1,
        "Termination.ObjectiveGap.Relative": gap,
        "Termination.ObjectiveGap.Absolute": 0.0,
        "Termination.TimeLimit": limit,
        "Model.Convexity.AssumeConvex": convex,
    }
    for name, value in settings.items():
        solver.updateSetting(name, value)
    if not solver.setProblem(file):
        raise ValueError("SHOT cannot read the model")
    started = time.monotonic()
    solver.solveProblem()
    solve_s = time.monotonic() - started
    reason = str(solver.getTerminationReason()).rpartition(".")[2]
    status = "feasible" if solver.hasPrimalSolution() else "unknown"
    status = "time_limit" if reason == "TimeLimit" else status
    proven = str(solver.getModelReturnStatus()).rpartition(".")[2] == "OptimalGlobal"
    return {
        "status": "optimal" if proven else status,
        "objective": solver.getPrimalBound() if solver.hasPrimalSolution() else None,
        "bound": solver.getGlobalDualBound(),
        "solve_s": solve_s,
        "note": f"stopped by {reason}" + ("" if convex else f"; {HEURISTIC}"),
    }


def run_worker(solver: str, formulation: str, file: str, gap: float, limit: float) -> None:
    """One run: its row is the only line on stdout, what solvers print goes to stderr."""
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        if solver == SCIP:
            row = run_scip(file, gap, limit)
        elif solver == SHOT:
            row = run_shot(file, formulation == "perspective", gap, limit)
        else:
            row = run_ours(solver, file, gap, limit)
        for key in ("objective", "bound"):  # solvers have large numbers for "none"
            row[key] = row[key] if row[key] is not None and abs(row[key]) < 1e19 else None
        print(json.dumps(row), file=answer)


def run_process(solver: str, formulation: str, file: Path, gap: float, limit: float) -> Row:
    """One run in a process of its own; when it dies or hangs, a row that says so."""
    command = [sys.executable, __file__, "--gap", repr(gap), "--time-limit", repr(limit)]
    command += ["--worker", solver, formulation, str(file)]
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    row: Row = {"status": "failed", "objective": None, "bound": None, "solve_s": None}
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=os.environ | threads,
            timeout=limit + GRACE_S,
        )  # fmt: skip
        if done.returncode == 0:
            row = json.loads(done.stdout)
        else:
            last_line = done.stderr.strip().rpartition("\n")[2]
            row["note"] = f"exit code {done.returncode}: {last_line}"[:200]
    except subprocess.TimeoutExpired:
        row["note"] = f"hung: ended {GRACE_S:g} s after its time limit"
    except ValueError:
        row["note"] = "gave no answer"
    row["total_s"] = time.monotonic() - started
    return row


def run_all(name: str, best: Row, gap: float, limit: float) -> list[Row]:
    """All runs on one instance."""
    rows: list[Row] = []
    with TemporaryDirectory() as folder:
        source = INSTANCES / f"{name}.json"
        files = {"-": source}
        for form in FORMULATIONS:
            files[form] = Path(folder) / f"{name}.{form}.nl"
            do.export(do.read_instance(source), files[form], "nl", form)
        for solver, formulation in RUNS:
            row: Row = {"instance": name, "solver": solver, "formulation": formulation}
            row |= {"gap_target": gap} | run_process(
                solver, formulation, files[formulation], gap, limit
            )
            row |= derived(row, rows[0] if rows else row, best)
            rows.append(row)
            print("  ".join(cells(row).values()), flush=True)
    return rows


def derived(row: Row, ours: Row, best: Row) -> Row:
    """Gap, ratio (of runs that stopped without proof: none) and error."""
    value, bound = row["objective"], row["bound"]
    times = row["solve_s"], ours["solve_s"]
    meaningful = row["status"] in ("optimal", "time_limit") and None not in times
    return {
        "gap": (value - bound) / abs(value) if None not in (value, bound) else None,
        "ratio": times[0] / times[1] if meaningful else None,
        "objective_error": value / best["best_value"] - 1 if value is not None else None,
    }


def contradictions(rows: list[Row], best: dict[str, Row]) -> list[str]:
    """Peers' incumbents below a proven bound, and peers' bounds above a proven best value."""
    lines = []
    for row in rows:
        known = best[row["instance"]]
        who = f"{row['instance']}, {row['solver']} {row['formulation']}"
        value, bound = row["objective"], row["bound"]
        if value is not None and value < known["bound"] - TOLERANCE * abs(known["bound"]):
            lines.append(f"{who}: objective {value!r} is below the proven bound {known['bound']!r}")
        proven = row["status"] == "optimal" or HEURISTIC not in row["note"]
        limit = known["best_value"] + TOLERANCE * abs(known["best_value"])
        if proven and bound is not None and bound > limit:
            lines.append(f"{who}: bound {bound!r} is above the known plan {known['best_value']!r}")
    return lines


def compare_with_peer(rows: list[Row], name: str, solver: str, limit: float) -> str:
    """This project against the better formulation of one peer."""
    mine = [row for row in rows if row["instance"] == name]
    ours, peers = mine[0]["solve_s"], [row for row in mine if row["solver"] == solver]
    start = f"{name}: this project {ours:.2f} s" if ours else f"{name}: this project failed"
    proven = [row for row in peers if row["status"] == "optimal"]
    if proven:
        row = min(proven, key=lambda row: row["solve_s"])
        took = f"{row['solve_s']:.2f} s, ratio {row['ratio'] or float('nan'):.1f}"
    else:
        row = min(peers, key=lambda row: float("inf") if row["gap"] is None else row["gap"])
        left = "no gap" if row["gap"] is None else f"gap {row['gap']:.1e} left"
        took = f"{row['status']}, {left}"
        if row["status"] == "time_limit":
            took = f"> {limit:g} s ({left}), ratio > {limit / (ours or float('nan')):.0f}"
    return f"{start}, best {solver} form ({row['formulation']}) {took}"


def cells(row: Row) -> dict[str, str]:
    """A row as text; an empty cell where there is no value."""
    styles = {"gap_target": "g", "objective": ".9f", "bound": ".9f", "gap": ".2e", "solve_s": ".3f"}
    styles |= {"total_s": ".3f", "ratio": ".3g", "objective_error": ".2e"}
    return {
        key: "" if row.get(key) is None else format(row[key], styles.get(key, ""))
        for key in COLUMNS
    }


def show(rows: list[Row]) -> None:
    """The rows as a table; each row's note is only in the file."""
    names = [name for name in COLUMNS if name not in ("gap_target", "note")]
    table = Table(*(name.replace("_", " ") for name in names))
    for row in rows:
        text = cells(row)
        table.add_row(*(text[name] for name in names))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", nargs="+", default=["n5", "n10", "n20"], metavar="NAME")
    parser.add_argument("--gap", type=float, default=1e-4, help="relative gap asked of each solver")
    parser.add_argument("--time-limit", type=float, default=600.0, help="seconds for each run")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)  # solver, formulation, file
    options = parser.parse_args()
    unknown = set(options.instances) - set(best_values())
    if unknown and not options.worker:
        parser.error(f"no proven value in instances/best.csv of: {', '.join(sorted(unknown))}")
    return options


def main() -> int:
    options = arguments()
    if options.worker:
        solver, formulation, file = options.worker
        run_worker(solver, formulation, file, options.gap, options.time_limit)
        return 0
    header = provenance(PACKAGES, "each run on one thread")
    best, rows = best_values(), []
    for name in options.instances:
        rows += run_all(name, best[name], options.gap, options.time_limit)
        write_csv(options.output, COLUMNS, map(cells, rows), header)
    show(rows)
    for name in options.instances:
        for solver in (SCIP, SHOT):
            print(compare_with_peer(rows, name, solver, options.time_limit))
    wrong = contradictions(rows, best)
    print("\n".join(f"CONTRADICTION: {line}" for line in wrong) or "no peer contradicts our proofs")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

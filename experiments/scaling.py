"""Time, memory and gap of `price` from ten users to a million: scaling.csv and .svg, replan.csv.

    python experiments/scaling.py                       # everything
    python experiments/scaling.py --quick --folder /tmp # up to 10,000 users
    python experiments/scaling.py --figure              # only the figure, anew from scaling.csv

Every run is `do.generate_instance(users, servers, seed=0)` in a process of its own, on one thread,
its imports done and a small instance solved before. Seconds are of the wall.

| column of scaling.csv | meaning |
|---|---|
| gap | proven: (objective - bound) / abs(objective) |
| generate_s | making the instance |
| options_s | `build_options`, with so many `options` |
| solve_s | all of `do.solve(instance, "price", gap=gap_target)`, the options included |
| method_s | the proof by prices alone (`price_with_proof`), on given options, once more |
| pass_s, price_s | the Lagrangian at one set of prices, prepared before and not; medians of 3 |
| passes, solve_over_price | method_s / pass_s, solve_s / price_s |
| peak_rss_gb | peak memory of the process until it had a plan, in 1e9 bytes |
| leaves | of the proof's tree: 1 when prices alone prove the gap |

replan.csv: the same users with channel gains times 10^N(0, 0.3), drawn anew 50 times, in a warm
process. `first_s` is the first solve, `resolve_s` the median from the last plan's prices on,
`cold_s` the median without them, `planner_s` that of `do.Planner`, which keeps the options as well.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import INSTANCES, provenance, write_csv

import dtkd_opt as do
from dtkd_opt.records.files import write_atomic
from dtkd_opt.reporting.figures import colour_and_marker, legend_below, panels, svg

RUNS = {  # servers: {users: target gap}
    1: {10: 1e-6, 100: 1e-6, 1000: 1e-7, 10**4: 1e-8, 10**5: 1e-8, 10**6: 1e-8},
    4: {10: 1e-6, 80: 1e-6, 100: 1e-6, 1000: 1e-6, 10**4: 1e-6, 10**5: 1e-6, 10**6: 1e-6},
    10: {100: 1e-5, 1000: 1e-5, 10**4: 1e-5, 10**5: 1e-5, 10**6: 1e-5},
}
QUICK = 10**4  # users
LIMIT_S = 120.0
HANG_S = 900.0  # two solves and all else that is measured
MEMORY_GB = 6.0  # what a run should not exceed
REPLANNED, REPLAN_GAP, DRAWS, SPREAD = ("n50", "n80-s4"), 1e-4, 50, 0.3
COLUMNS = (
    "users", "servers", "gap_target", "status", "gap", "generate_s", "options", "options_s",
    "solve_s", "method_s", "pass_s", "price_s", "passes", "solve_over_price", "peak_rss_gb",
    "leaves", "note",
)  # fmt: skip
REPLAN_COLUMNS = (
    "instance", "users", "servers", "gap_target", "status", "gap", "first_s", "draws", "resolve_s",
    "resolve_max_s", "cold_s", "planner_s", "note",
)  # fmt: skip
PACKAGES = ("dtkd-opt", "numpy", "clarabel", "highspy")
PANELS = {  # column: title, and what a value of it is in the unit that ticks have
    "solve_s": ("time", "s", 1), "peak_rss_gb": ("peak memory", "B", 1e9),
    "gap": ("proven relative gap", "", 1),
}  # fmt: skip
HERE = Path(__file__).parent
Row = dict[str, Any]


def timed(call: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """Median seconds of some calls, and what the last returned."""
    seconds, result = [], None
    for _ in range(repeats):
        result = None  # frees the last one's memory
        started = time.monotonic()
        result = call()
        seconds.append(time.monotonic() - started)
    return float(np.median(seconds)), result


def run_size(users: int, servers: int, gap: float) -> Row:
    """One line of scaling.csv."""
    from dtkd_opt.methods.proof_tree import PricedLeaf
    from dtkd_opt.methods.search import Search
    from dtkd_opt.methods.stop import TimeIsUp
    from dtkd_opt.pricing.lagrangian import Lagrangian, price

    row: Row = {}
    row["generate_s"], instance = timed(lambda: do.generate_instance(users, servers, seed=0))
    row["solve_s"], result = timed(lambda: do.solve(instance, "price", gap=gap, time_limit=LIMIT_S))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # KiB on Linux
    late = result.solution.termination == "time_limit"
    row |= {"status": "time_limit" if late else result.status, "gap": result.gap}
    notes = [f"ended by its time limit of {LIMIT_S:g} s"] if late else []
    notes += [f"over {MEMORY_GB:g} GB"] if peak > MEMORY_GB else []
    row |= {"peak_rss_gb": peak, "note": "; ".join([*notes, *filter(None, [result.reason])])}
    prices = result.incumbent.prices if result.incumbent else None
    del result
    row["options_s"], options = timed(lambda: do.build_options(instance))
    row["options"] = len(options)
    search = Search(instance, options, do.Stop(gap, LIMIT_S))
    started = time.monotonic()
    try:
        _, proof = do.Price().prove(search)
        leaves = [node for node in proof.nodes if isinstance(node, PricedLeaf)]
        prices, row["leaves"] = leaves[0].prices, len(leaves)
    except TimeIsUp:  # before any branching
        row["leaves"] = 1
    row["method_s"] = time.monotonic() - started
    row["price_s"], _ = timed(lambda: price(options, prices), 3)
    lagrangian = Lagrangian(options)
    row["pass_s"], _ = timed(lambda: lagrangian.at(prices), 3)
    row["passes"] = row["method_s"] / row["pass_s"]
    return row | {"solve_over_price": row["solve_s"] / row["price_s"]}


def run_replan(name: str) -> Row:
    """One line of replan.csv."""

    def plan(instance: do.Instance, start: Any = None) -> tuple[float, do.Result]:
        method = do.Price(start=start)
        return timed(lambda: do.solve(instance, method, gap=REPLAN_GAP))

    shipped = INSTANCES / f"{name}.json"
    instance = do.read_instance(shipped) if shipped.exists() else do.generate_instance(80, 4)
    users, rng = instance.users, np.random.default_rng(0)
    first_s, last = plan(instance)
    planner = do.Planner(instance, gap=REPLAN_GAP)
    planner.solve()
    seconds, gaps = [], [last.gap]
    for _ in range(DRAWS):
        gain = users.channel_gain * 10 ** (SPREAD * rng.standard_normal(users.channel_gain.shape))
        new = instance.replace(users=users.replace(channel_gain=gain))
        cold_s, cold = plan(new)
        planner_s, kept = timed(lambda gain=gain: planner.solve(gain))
        resolve_s, last = plan(new, last.incumbent.prices)
        seconds.append((resolve_s, cold_s, planner_s))
        gaps += [cold.gap, kept.gap, last.gap]
    medians = zip(("resolve_s", "cold_s", "planner_s"), np.median(seconds, axis=0), strict=True)
    late = sum(gap > REPLAN_GAP for gap in gaps)
    row: Row = {"users": len(users), "servers": len(instance.servers), "draws": DRAWS}
    row |= {"status": "feasible" if late else "optimal", "gap": max(gaps), "first_s": first_s}
    row["note"] = f"{late} gaps are above the target" if late else ""
    return row | dict(medians) | {"resolve_max_s": max(seconds)[0]}


def run_worker(task: Row) -> None:
    """One run: its answer is the only line on stdout, whatever else is printed goes to stderr."""
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        do.solve(do.generate_instance(10), "price")  # imports
        print(json.dumps(run_replan(**task) if "name" in task else run_size(**task)), file=answer)


def run_process(task: Row) -> Row:
    """One run in a process of its own; when it dies or hangs, a row that says so."""
    command = [sys.executable, __file__, "--worker", json.dumps(task)]
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=HANG_S,
            env=os.environ | threads,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"status": "failed", "note": f"hung: ended after {HANG_S:g} s"}
    if done.returncode == 0:
        return json.loads(done.stdout)
    last_line = done.stderr.strip().rpartition("\n")[2]
    return {"status": "failed", "note": f"exit code {done.returncode}: {last_line}"[:200]}


def cells(row: Row) -> dict[str, str]:
    """A row as text: three digits of what was measured."""
    text = {k: f"{float(f'{x:.3g}'):g}" for k, x in row.items() if isinstance(x, float)}
    return {key: str(value) for key, value in row.items()} | text


def keep(rows: list[Row], row: Row, path: Path, columns: tuple[str, ...], head: list[str]) -> None:
    """Print one more row and write all."""
    rows.append(row)
    print("  ".join(f"{key} {text}" for key, text in cells(row).items() if text), flush=True)
    write_csv(path, columns, map(cells, rows), head)


def draw(folder: Path) -> str:
    """scaling.svg from scaling.csv: a panel for each quantity, a line for each server count."""
    try:
        from matplotlib.ticker import EngFormatter
    except ImportError:
        return 'no figure without matplotlib: pip install -e ".[plot]", then run this with --figure'
    lines = (folder / "scaling.csv").read_text(encoding="utf-8").splitlines()
    lines_read = csv.DictReader(line for line in lines if not line.startswith("#"))
    rows = [row for row in lines_read if row["users"] != "80"]  # too near to 100
    figure, (axes,) = panels(1, len(PANELS), (10, 3.4))
    for axis, (key, (title, unit, scale)) in zip(axes, PANELS.items(), strict=True):
        for number, servers in enumerate(RUNS):
            colour, marker = colour_and_marker(number)
            mine = [row for row in rows if row["servers"] == str(servers) and row[key]]
            x, y = [float(row["users"]) for row in mine], [scale * float(row[key]) for row in mine]
            label = f"{servers} server" + "s" * (servers > 1)
            axis.plot(x, y, marker=marker, color=colour, markersize=5, label=label)
            late = [i for i, row in enumerate(mine) if row["status"] == "time_limit"]
            style = {"facecolors": "white", "marker": marker, "s": 25, "zorder": 3}
            axis.scatter([x[i] for i in late], [y[i] for i in late], edgecolors=colour, **style)
        axis.set(xscale="log", yscale="log", xlabel="users", title=title)
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        if unit:
            axis.yaxis.set_major_formatter(EngFormatter(unit))
    label = f"ended by the limit of {LIMIT_S:g} s"
    axes[0].scatter([], [], facecolors="white", edgecolors="0.3", s=25, label=label)
    legend_below(figure, len(RUNS) + 1)
    write_atomic(folder / "scaling.svg", svg(figure, "scaling"))
    return f"wrote {folder / 'scaling.svg'}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"up to {QUICK:,} users")
    parser.add_argument("--figure", action="store_true", help="only draw what scaling.csv has")
    parser.add_argument("--folder", type=Path, default=HERE, help="for the results")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        run_worker(options.worker)
        return 0
    rows, replans = list[Row](), list[Row]()
    if not options.figure:
        head = provenance(PACKAGES, "each run on one thread")
        for name in REPLANNED:
            row = {"instance": name, "gap_target": REPLAN_GAP} | run_process({"name": name})
            keep(replans, row, options.folder / "replan.csv", REPLAN_COLUMNS, head)
        for servers, users in ((s, n) for s, sizes in RUNS.items() for n in sizes):
            if users <= (QUICK if options.quick else np.inf):
                task = {"users": users, "servers": servers, "gap": RUNS[servers][users]}
                row = {"users": users, "servers": servers, "gap_target": task["gap"]} | run_process(
                    task
                )
                keep(rows, row, options.folder / "scaling.csv", COLUMNS, head)
    print(draw(options.folder))
    return any(row["status"] == "failed" for row in rows + replans)


if __name__ == "__main__":
    sys.exit(main())

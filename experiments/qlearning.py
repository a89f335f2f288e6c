r"""Gaps of Q-learning and DQN, and where `price` beats them: qlearning.csv and .svg.

    python experiments/qlearning.py                       # everything
    python experiments/qlearning.py --quick --folder /tmp # one instance a part, three seeds
    python experiments/qlearning.py --keep RUNS           # stopped, it goes on from this folder
    python experiments/qlearning.py --figure              # only the figure, anew from the tables

Every run is one of `dtkd-opt compare`: a process of one thread, its plan checked. The gap is
(J - bound) / J with the bound that the run itself proved: of all but `price`, which branches, that
of the best prices. Q-learning has a target gap of 0, so that it plays all of its rounds.

| part of qlearning.csv | instances | seeds |
|---|---|---|
| rounds | the three of the gap over rounds, and more users and servers | of the method |
| dqn | 50 to 100,000 users, one run at a time, for its times | of the method |
| unseen | 100 instances of 50 users that no network was trained on | of the instances |

| column | meaning |
|---|---|
| runs | with a feasible plan, of all |
| gap_median, _min, _max; seconds_median, _max | over them; seconds of the whole solve |
| above_price | median of J over the J of `price` at a gap of 1e-6, less 1 |
| start_gap | of the prices' rounding, from which `q-learning` starts unless it is cold |
| above_start | runs that ended above it |

qlearning_rounds.csv has the gap before each reported round: median, smallest and largest
of the seeds. In the figure bars and bands are these too, and gaps below 1e-9 lie at 1e-9.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import INSTANCES, provenance, write_csv

import dtkd_opt as do
from dtkd_opt.analysis.compare import Comparison, compare
from dtkd_opt.records.files import write_atomic
from dtkd_opt.reporting.figures import colour_and_marker, legend_below, panels, svg

COLD = "q-learning cold"
LEARNING = {"q-learning": {}, COLD: {"method": "q-learning", "cold": True}}
BASELINES = ("greedy", "all-server", "all-device", "random")
BESIDE = ("price", "dqn", *BASELINES)
TRACED = ("n50", "n40-s3", "n1000")  # gap over rounds
OTHERS = ("n10", "n100", "n300", "n3000", "n80-s4", "n40-s3-limits")
SIZES = {1: (50, 300, 1000, 10_000, 100_000), 10: (100_000,)}  # of dqn, by servers
UNSEEN, FIRST_SEED = 100, 10_000  # training and validation draw theirs elsewhere
COLUMNS = (
    "part", "instance", "users", "servers", "method", "runs", "gap_median", "gap_min", "gap_max",
    "above_price", "seconds_median", "seconds_max", "start_gap", "above_start",
)  # fmt: skip
ROUND_COLUMNS = ("instance", "method", "round", "gap_median", "gap_min", "gap_max")
PACKAGES = ("dtkd-opt", "numpy", "scipy", "clarabel", "torch")
HERE = Path(__file__).parent
Row = dict[str, Any]


def named(name: str) -> do.Instance:
    """A shipped instance, or the generator's of that name with seed 0."""
    shipped = INSTANCES / f"{name}.json"
    if shipped.exists():
        return do.read_instance(shipped)
    users, _, servers = name[1:].partition("-s")
    return do.generate_instance(int(users), int(servers or 1), seed=0)


@dataclass(frozen=True)
class Runs:
    """Checked runs on instances of one size, and their histories."""

    part: str
    users: int
    servers: int
    runs: pd.DataFrame
    histories: pd.DataFrame


def join(part: str, users: int, servers: int, *comparisons: Comparison) -> Runs:
    runs = pd.concat([comparison.runs for comparison in comparisons])
    histories = pd.concat([comparison.histories for comparison in comparisons])
    return Runs(part, users, servers, runs, histories)


def warm_starts(found: Runs) -> pd.DataFrame:
    """By seed, J and gap of the prices' rounding, the plan with which Q-learning begins."""
    history = found.histories
    first = history[(history.label == "q-learning") & (history.phase == "Q-learning")]
    objective = first.groupby("seed").incumbent_objective.first()
    bound = found.runs.set_index(["label", "seed"]).objective_bound.loc["q-learning"]
    return pd.DataFrame({"objective": objective, "gap": 1 - bound / objective})


def gaps_by_round(found: Runs) -> list[Row]:
    """Rows of qlearning_rounds.csv."""
    history = found.histories
    history = history.assign(round=history.phase.str.extract(r"^round (\d+) of", expand=False))
    history = history.dropna(subset="round").astype({"round": int})
    first = history.groupby(["instance", "label", "seed", "round"], sort=False).gap.first()
    spread = first.groupby(["instance", "label", "round"], sort=False)
    gaps = spread.agg(["median", "min", "max"]).add_prefix("gap_").reset_index()
    gaps = gaps.rename(columns={"label": "method"})
    return gaps[np.isfinite(gaps.gap_median)].to_dict("records")


def summed_up(found: Runs) -> list[Row]:
    """Rows of qlearning.csv, one a method; `instance` is that of all, or how many they are."""
    names = found.runs.instance.unique()
    common = {
        "part": found.part, "users": found.users, "servers": found.servers,
        "instance": names[0] if len(names) == 1 else f"{len(names)} of n{found.users}",
    }  # fmt: skip
    priced = found.runs[found.runs.label == "price"].groupby("instance").incumbent_objective.min()
    rows = []
    for method, runs in found.runs.groupby("label", sort=False):
        good = runs[runs.outcome == "plan"]
        above = good.incumbent_objective / good.instance.map(priced).astype(float) - 1
        row = common | {
            "method": method, "runs": f"{len(good)} of {len(runs)}",
            "gap_median": good.gap.median(), "gap_min": good.gap.min(), "gap_max": good.gap.max(),
            "above_price": above.median(), "seconds_median": good.runtime_s.median(),
            "seconds_max": good.runtime_s.max(),
        }  # fmt: skip
        if method == "q-learning":
            start = warm_starts(found)
            above = good.set_index("seed").incumbent_objective > start.objective
            row |= {"start_gap": start.gap.median(), "above_start": int(above.sum())}
        rows.append(row)
    return rows


class Results:
    """The two CSV files, written as they grow; `kept` is the folder of finished runs, or None."""

    def __init__(self, folder: Path, kept: Path | None):
        self.folder, self.head = folder, provenance(PACKAGES, "each run on one thread")
        self.kept = kept
        self.rows: list[Row] = []
        self.rounds: list[Row] = []

    def compare(
        self, part: str, instances: list[do.Instance], methods: Iterable[str], **options: Any
    ) -> Comparison:
        """As `compare`; finished runs in the folder `kept` are not run again."""
        methods = list(methods)
        name = "-".join([part, instances[0].name, *methods]).replace(" ", "-")
        comparison = compare(instances, methods, output=self.kept and self.kept / name, **options)
        if comparison.interrupted:
            raise KeyboardInterrupt
        return comparison

    def add(self, rows: list[Row], rounds: Iterable[Row] = ()) -> None:
        self.rows += rows
        self.rounds += rounds
        for row in rows:
            print("  ".join(f"{key} {text}" for key, text in cells(row).items()), flush=True)
        write_csv(self.folder / "qlearning.csv", COLUMNS, map(cells, self.rows), self.head)
        lines = map(cells, self.rounds)
        write_csv(self.folder / "qlearning_rounds.csv", ROUND_COLUMNS, lines, self.head)


def cells(row: Row) -> dict[str, str]:
    """A row as text: three digits of what was measured, nothing where there was no plan."""
    numbers = {k: f"{float(f'{x:.3g}'):g}" for k, x in row.items() if isinstance(x, float)}
    text = {key: str(value) for key, value in row.items()} | numbers
    return {key: "" if value == "nan" else value for key, value in text.items()}


def compare_learning(results: Results, names: Iterable[str], seeds: int) -> None:
    """Q-learning from nothing and from prices; `price`, `dqn` and the baselines beside it."""
    for name in names:
        instance = named(name)
        size = len(instance.users), len(instance.servers)
        learned = results.compare(
            "rounds", [instance], LEARNING, seeds=seeds, gap=0, settings=LEARNING
        )
        beside = results.compare("rounds", [instance], BESIDE, seeds=seeds)
        found = join("rounds", *size, learned, beside)
        results.add(summed_up(found), gaps_by_round(found) if name in TRACED else ())


def apply_network(results: Results, sizes: dict[int, tuple[int, ...]], seeds: int) -> None:
    """DQN's shipped network on ever more users, one run at a time."""
    for servers, users in ((s, n) for s, many in sizes.items() for n in many):
        instance = do.generate_instance(users, servers, seed=0)
        found = results.compare("dqn", [instance], ["dqn"], seeds=seeds, jobs=1)
        beside = results.compare("dqn", [instance], ("price", *BASELINES), seeds=1, jobs=1)
        results.add(summed_up(join("dqn", users, servers, found, beside)))


def compare_unseen(results: Results, count: int) -> None:
    """DQN and the baselines on instances of 50 users drawn with other seeds."""
    instances = [
        do.generate_instance(50, seed=FIRST_SEED + k, name=f"unseen-{k}") for k in range(count)
    ]
    found = results.compare("unseen", instances, BESIDE, seeds=1)
    results.add(summed_up(join("unseen", 50, 1, found)))


def draw(folder: Path) -> None:
    """qlearning.svg: gaps over rounds with the seeds' spread, and over the number of users."""
    results = pd.read_csv(folder / "qlearning.csv", comment="#")
    rounds = pd.read_csv(folder / "qlearning_rounds.csv", comment="#")
    followed = list(rounds.instance.unique())
    methods = [*LEARNING, *BESIDE]
    styles = {method: colour_and_marker(number) for number, method in enumerate(methods)}
    columns = len(followed) + 1
    figure, (axes,) = panels(1, columns, (4.2 * columns, 4.2), sharey=True)
    for axis, name in zip(axes, followed, strict=False):
        draw_rounds(
            axis, rounds[rounds.instance == name], results[results.instance == name], styles
        )
        axis.set_title(f"{name}: over rounds")
    draw_sizes(axes[-1], results, styles)
    axes[0].set_ylabel("certified relative gap")
    legend_below(figure, len(methods))
    write_atomic(folder / "qlearning.svg", svg(figure, "qlearning"))


def draw_rounds(axis: Any, rounds: pd.DataFrame, results: pd.DataFrame, styles: Row) -> None:
    """Median and spread of each start; baselines and `price` as lines across."""
    for method, mine in rounds.groupby("method", sort=False):
        colour, _ = styles[method]
        x, floor = mine["round"] + 1, 1e-9
        axis.plot(x, mine.gap_median.clip(floor), color=colour, label=method)
        axis.fill_between(
            x, mine.gap_min.clip(floor), mine.gap_max.clip(floor), color=colour, alpha=0.2, lw=0
        )
    for method in BESIDE:
        gap = results[results.method == method].gap_median
        axis.axhline(max(gap.iloc[0], 1e-9), color=styles[method][0], ls=":", label=method)
    axis.set(xscale="log", yscale="log", xlabel="rounds")


def draw_sizes(axis: Any, results: pd.DataFrame, styles: Row) -> None:
    """Final gaps over N on one server: medians with the spread of the seeds."""
    from matplotlib.ticker import EngFormatter

    one = results[(results.servers == 1) & (results.part != "unseen")]
    for method, mine in one.groupby("method", sort=False):
        mine = mine.drop_duplicates("users").sort_values("users")
        colour, marker = styles[method]
        low, high = mine.gap_median - mine.gap_min, mine.gap_max - mine.gap_median
        axis.errorbar(
            mine.users, mine.gap_median.clip(1e-9), [low, high], color=colour, marker=marker,
            ls=":" if method in ("price", *BASELINES) else "-", capsize=2, label=method,
        )  # fmt: skip
    axis.set(xscale="log", yscale="log", xlabel="users", title="over users, one server")
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one instance a part, three seeds")
    parser.add_argument("--figure", action="store_true", help="only draw what the tables have")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="folder of finished runs, to go on from")
    parser.add_argument("--folder", type=Path, default=HERE, help="for the results")
    options = parser.parse_args()
    if not options.figure:
        results = Results(options.folder, options.keep)
        if options.quick:
            compare_learning(results, TRACED[:1], 3)
            apply_network(results, {1: (50,)}, 3)
            compare_unseen(results, 5)
        else:
            compare_learning(results, (*TRACED, *OTHERS), options.seeds)
            apply_network(results, SIZES, options.seeds)
            compare_unseen(results, UNSEEN)
    draw(options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())

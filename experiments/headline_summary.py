"""The results of headline.py over seeds: each method beside a joint optimum."""

from __future__ import annotations

from typing import Any

import pandas as pd

import dtkd_opt as do
from dtkd_opt.distill.fit import mean_interval

JOINT, MATCHED = "price", "price, delay of "
RUN_COLUMNS = (
    "partition", "seed", "method", "mean_accuracy", "predicted_accuracy", "total_delay_s",
    "objective", "students", "at_server", "teacher_accuracy",
)  # fmt: skip
COLUMNS = (
    "partition", "method", "runs", "mean_accuracy", "accuracy_low", "accuracy_high",
    "predicted_accuracy", "total_delay_s", "delay_low", "delay_high", "objective",
    "ahead_accuracy", "ahead_accuracy_low", "ahead_accuracy_high", "ahead_delay_s",
    "ahead_delay_low", "ahead_delay_high", "verdict",
)  # fmt: skip
DELAY_TOL_S = 1e-4  # total delays that differ by less are the solver's tolerance
Row = dict[str, Any]


def most_accurate_within(front: do.ParetoFront, delay: float) -> do.Solution | None:
    """The most accurate plan of a sweep that needs no more delay, if there is one."""
    solutions = [result.solution for result in front.results]
    feasible = [one for one in solutions if (one.total_delay_s or 0.0) <= delay]
    return max(feasible, key=lambda one: one.mean_accuracy or 0.0, default=None)


def with_objective(runs: pd.DataFrame, instance: do.Instance) -> pd.DataFrame:
    """J [s] = mean delay + ρ (1 - mean realised accuracy)."""
    error = instance.seconds_per_error * (1 - runs.mean_accuracy)
    return runs.assign(objective=runs.total_delay_s / len(instance.users) + error)


def check_complete(runs: pd.DataFrame) -> None:
    """Means are compared seed by seed: DtkdError where one is missing, or a figure of it is."""
    figures = runs[["mean_accuracy", "total_delay_s"]]
    seeds = runs.groupby(["partition", "method"]).seed.agg(lambda mine: tuple(sorted(mine)))
    baselines = {name.removeprefix(MATCHED) for name in runs.method} | {JOINT}
    if figures.isna().any(axis=None) or seeds.nunique() > 1 or not baselines <= set(runs.method):
        raise do.DtkdError("a run is missing, or a figure of one: nothing can be compared")


def summarise(runs: pd.DataFrame) -> list[Row]:
    """Rows of headline.csv; `ahead_…` is how far a joint optimum is ahead, by seed.

    Of a joint optimum with the delay of a baseline it is how far this one is ahead of that, of
    all others how far `price` is ahead of them.
    """
    check_complete(runs)
    found = []
    for partition, part in runs.groupby("partition", sort=False):
        by_method = {name: mine.set_index("seed") for name, mine in part.groupby("method")}
        for method in dict.fromkeys(part.method):
            mine, joint, baseline = by_method[method], by_method[JOINT], by_method[method]
            if method.startswith(MATCHED):
                joint, baseline = mine, by_method[method.removeprefix(MATCHED)]
            accuracy, _, low, high = mean_interval(mine.mean_accuracy.tolist())
            delay, _, delay_low, delay_high = mean_interval(mine.total_delay_s.tolist())
            ahead = (joint.mean_accuracy - baseline.mean_accuracy).tolist()
            more, _, more_low, more_high = mean_interval(ahead)
            ahead = (baseline.total_delay_s - joint.total_delay_s).tolist()
            less, _, less_low, less_high = mean_interval(ahead)
            found.append({
                "partition": partition, "method": method, "runs": len(mine),
                "mean_accuracy": accuracy, "accuracy_low": low, "accuracy_high": high,
                "predicted_accuracy": round(mine.predicted_accuracy.mean(), 6),
                "total_delay_s": delay, "delay_low": delay_low, "delay_high": delay_high,
                "objective": round(mine.objective.mean(), 6),
                "ahead_accuracy": more, "ahead_accuracy_low": more_low,
                "ahead_accuracy_high": more_high, "ahead_delay_s": less,
                "ahead_delay_low": less_low, "ahead_delay_high": less_high,
                "verdict": "" if method == JOINT else verdict(more, less),
            })  # fmt: skip
    return found


def verdict(more: float, less: float) -> str:
    """Whether the claim holds against a baseline.

    Parameters
    ----------
    more, less
        How much more accuracy a joint optimum has, and how much less total delay [s].
    """
    less = 0.0 if abs(less) < DELAY_TOL_S else less
    if more == less == 0:
        return "equal"
    if more >= 0 and less >= 0:
        return "holds"
    return "beaten" if more <= 0 and less <= 0 else "trade-off"

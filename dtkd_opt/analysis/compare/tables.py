"""The runs of a comparison as pandas tables: judged side by side, one row a run, and summed up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dtkd_opt.analysis.compare.run import Run
from dtkd_opt.analysis.compare.spec import RunSpec
from dtkd_opt.methods.search import BOUND_TOL
from dtkd_opt.methods.stop import relative_gap

if TYPE_CHECKING:
    import pandas as pd

FIGURES = (
    "incumbent_objective", "gap", "gap_best_bound", "mean_accuracy", "total_delay_s", "runtime_s",
)  # fmt: skip
_LEFT_OUT = {"asked", "history", "versions"}


def judge(runs: Sequence[Run]) -> list[Run]:
    """The runs, those failed whose bound another run's plan refutes.

    `check` holds a bound against the run's own plan only.
    """
    best: dict[str, Run] = {}
    for run in runs:
        digest = run.asked.instance_sha256
        if digest not in best or _objective(run) < _objective(best[digest]):
            best[digest] = run
    return [_held_against(run, best[run.asked.instance_sha256]) for run in runs]


def _held_against(run: Run, best: Run) -> Run:
    objective = _objective(best)
    if run.outcome == "failed" or objective == float("inf"):
        return run
    plan = f"the plan of {best.asked.label}, seed {best.asked.seed}, of {objective:.9g}"
    if run.status == "infeasible":
        return run.failed(f"says that there is no plan, against {plan}")
    if _bound(run) > objective + BOUND_TOL * abs(objective):
        return run.failed(f"its bound {_bound(run):.9g} is above {plan}")
    return run


def best_bounds(runs: Sequence[Run]) -> dict[str, float]:
    """By instance_sha256 the best bound [s] of judged runs, -inf where there is none."""
    bounds: dict[str, float] = {}
    for run in runs:
        if run.outcome != "failed":
            digest = run.asked.instance_sha256
            bounds[digest] = max(bounds.get(digest, -float("inf")), _bound(run))
    return bounds


def _objective(run: Run) -> float:
    """J [s] of a checked plan, inf without one."""
    return run.incumbent_objective if run.incumbent_objective is not None else float("inf")


def _bound(run: Run) -> float:
    return run.objective_bound if run.objective_bound is not None else -float("inf")


def runs_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a judged run: what was asked, what was found, and `gap_best_bound`.

    `gap` is what the run itself proved; `gap_best_bound` is against the best bound that any run
    proved of the instance, and so compares plans only.
    """
    import pandas as pd

    bounds = best_bounds(runs)
    rows = []
    for run in runs:
        gap = relative_gap(_objective(run), bounds.get(run.asked.instance_sha256, -float("inf")))
        found = run.model_dump(exclude=_LEFT_OUT)
        found["gap_best_bound"] = gap if gap < float("inf") else None
        nested = {key: json.dumps(getattr(run.asked, key)) for key in ("settings", "files")}
        rows.append(run.asked.model_dump() | nested | found)
    found_keys = [key for key in Run.model_fields if key not in _LEFT_OUT]
    table = pd.DataFrame(rows, columns=[*RunSpec.model_fields, *found_keys, "gap_best_bound"])
    return table.astype(dict.fromkeys(("objective_bound", "time_limit_s", *FIGURES), float))


def summary_table(runs: pd.DataFrame) -> pd.DataFrame:
    """For each instance and label: how many runs, and median, min and max of each figure.

    Runs without a plan that holds are counted, and are in no figure.
    """
    import pandas as pd

    rows = []
    keys = ["instance", "label", "method"]
    for names, group in runs.groupby(keys, sort=False):
        count = group.outcome.value_counts()
        row = dict(zip(keys, names, strict=True)) | {"runs": len(group)}
        row |= {outcome: int(count.get(outcome, 0)) for outcome in ("failed", "no_plan")}
        for figure in FIGURES:
            values = group.loc[group.outcome == "plan", figure]
            row |= {
                f"{figure}_{name}": getattr(values, name)() for name in ("median", "min", "max")
            }
        rows.append(row)
    return pd.DataFrame(rows)


def histories_table(runs: Sequence[Run]) -> pd.DataFrame:
    """How each run went on: seconds since its start, its bound, its best plan, and their gap."""
    import pandas as pd

    keys = ("instance", "label", "seed", "phase", "elapsed_s", "objective_bound",
            "incumbent_objective")  # fmt: skip
    rows = [
        (run.asked.instance, run.asked.label, run.asked.seed, *moment)
        for run in runs
        for moment in run.history
    ]
    table = pd.DataFrame(rows, columns=list(keys))
    table = table.astype(dict.fromkeys(keys[4:], float))
    pairs = zip(table.incumbent_objective, table.objective_bound, strict=True)
    return table.assign(gap=[relative_gap(*pair) for pair in pairs])

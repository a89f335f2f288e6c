"""The runs of a comparison as pandas data frames, checked against each other and summed up."""

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

METRICS = (
    "incumbent_objective", "gap", "gap_best_bound", "mean_accuracy", "total_delay_s", "runtime_s",
)  # fmt: skip
_EXCLUDED = {"spec", "history", "versions"}


def cross_check(runs: Sequence[Run]) -> list[Run]:
    """The runs, with those made failed whose bound is above the plan of another run.

    `check` compares a bound with the run's own plan only.
    """
    best: dict[str, Run] = {}
    for run in sorted(runs, key=_objective):
        best.setdefault(run.spec.instance_sha256, run)
    return [_checked_against(run, best[run.spec.instance_sha256]) for run in runs]


def _checked_against(run: Run, best: Run) -> Run:
    objective = _objective(best)
    if run.outcome == "failed" or objective == float("inf"):
        return run
    plan = f"the plan of {best.spec.label}, seed {best.spec.seed}, of {objective:.9g}"
    if run.status == "infeasible":
        return run.failed(f"reports that there is no plan, against {plan}")
    if _bound(run) > objective + BOUND_TOL * abs(objective):
        return run.failed(f"its bound {_bound(run):.9g} is above {plan}")
    return run


def best_bounds(runs: Sequence[Run]) -> dict[str, float]:
    """The best bound [s] of runs that did not fail by instance_sha256, -inf without any."""
    sound = (run for run in runs if run.outcome != "failed")
    # of several runs on an instance the last counts
    return {run.spec.instance_sha256: _bound(run) for run in sorted(sound, key=_bound)}


def _objective(run: Run) -> float:
    """J [s] of a checked plan, inf without one."""
    return run.incumbent_objective if run.incumbent_objective is not None else float("inf")


def _bound(run: Run) -> float:
    return run.objective_bound if run.objective_bound is not None else -float("inf")


def runs_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run after :func:`cross_check`: its spec, its result, and `gap_best_bound`.

    `gap` is what the run itself proved; `gap_best_bound` is against the best bound that any run
    proved of the instance, and so compares plans only.
    """
    import pandas as pd

    bounds = best_bounds(runs)
    rows = []
    for run in runs:
        gap = relative_gap(_objective(run), bounds.get(run.spec.instance_sha256, -float("inf")))
        result = run.model_dump(exclude=_EXCLUDED)
        result["gap_best_bound"] = gap if gap < float("inf") else None
        nested = {key: json.dumps(getattr(run.spec, key)) for key in ("settings", "files")}
        rows.append(run.spec.model_dump() | nested | result)
    result_keys = [key for key in Run.model_fields if key not in _EXCLUDED]
    frame = pd.DataFrame(rows, columns=[*RunSpec.model_fields, *result_keys, "gap_best_bound"])
    return frame.astype(dict.fromkeys(("objective_bound", "time_limit_s", *METRICS), float))


def summary_table(runs: pd.DataFrame) -> pd.DataFrame:
    """For each instance and label: how many runs, and median, min and max of each metric.

    Runs without a feasible plan are counted, and are in no metric.
    """
    import pandas as pd

    rows = []
    keys = ["instance", "label", "method"]
    for names, group in runs.groupby(keys, sort=False):
        count = group.outcome.value_counts()
        row = dict(zip(keys, names, strict=True)) | {"runs": len(group)}
        row |= {outcome: int(count.get(outcome, 0)) for outcome in ("failed", "no_plan")}
        values = group.loc[group.outcome == "plan", list(METRICS)].agg(["median", "min", "max"])
        row |= {f"{metric}_{name}": value for (metric, name), value in values.unstack().items()}
        rows.append(row)
    return pd.DataFrame(rows)


def histories_table(runs: Sequence[Run]) -> pd.DataFrame:
    """The progress of each run: seconds since its start, bound, incumbent, and their gap."""
    import pandas as pd

    keys = ("instance", "label", "seed", "phase", "elapsed_s", "objective_bound",
            "incumbent_objective")  # fmt: skip
    rows = [(r.spec.instance, r.spec.label, r.spec.seed, *m) for r in runs for m in r.history]
    frame = pd.DataFrame(rows, columns=keys).astype(dict.fromkeys(keys[4:], float))
    pairs = zip(frame.incumbent_objective, frame.objective_bound, strict=True)
    return frame.assign(gap=[relative_gap(*pair) for pair in pairs])

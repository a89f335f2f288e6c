r"""The paper's claim measured: the joint optimum carried out beside the baselines.

    python experiments/headline.py                        # N = 50, Fashion-MNIST, 5 seeds
    python experiments/headline.py --quick --folder /tmp  # N = 10, digits, 2 seeds

Writes headline.csv (one row a partition and method), headline_runs.csv (one a seed more),
headline.md (where the claim holds) and headline.svg. Every training is saved in --work when it
ends; the same command resumes.

| method | what it is |
|---|---|
| hard labels | every user alone, the student that its device's speed allows: `do.local_only` |
| fedavg | one student for all, of least J: `do.plan_fedavg` chooses it, and shares the uplink |
| | so that each round is as short as possible; 5 local epochs a round |
| fedavg of … | the same with the other of the two lightest students |
| all-device, all-server, random, greedy | the solver's baselines, distilled as planned |
| q-learning cold | the paper's method, without a warm start |
| price | the joint optimum, proven to 1e-6 |
| price, delay of … | the joint optimum of another ρ: the most accurate plan of a sweep that |
| | needs no more delay than this baseline |

All methods of a seed share data, shards and teacher. A training that two methods have in common
runs once. Accuracies are the users' mean on all held-out samples, delays those of the delay model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from common import INSTANCES, provenance
from headline_report import write_all
from headline_summary import MATCHED, Row, most_accurate_within

import dtkd_opt as do
from dtkd_opt.commands.console import progress_bar
from dtkd_opt.federation.fedavg import FedAvgResult, execute, fedavg_job
from dtkd_opt.runtime.interrupts import KeepOnCtrlC
from dtkd_opt.runtime.jobs import processes
from dtkd_opt.runtime.journal import Journal
from dtkd_opt.runtime.runner import run_pending
from dtkd_opt.runtime.workers import workers

HERE = Path(__file__).parent
PARTITIONS = ("iid", "dirichlet(0.3)")
FEDAVG = "fedavg"
MEASURED = ("hard labels", "all-device", "all-server", "greedy")  # one plan for all seeds
SOLVED = ("all-device", "all-server", "random", "greedy", "q-learning cold", "price")
WEIGHTS = 100  # of the sweep for the front of proven plans
LIGHTEST = 2  # students that FedAvg is tried with
PACKAGES = ("dtkd-opt", "numpy", "torch", "clarabel")


@dataclass(frozen=True)
class Setting:
    """The instance and how its plans are carried out, but for partition and seed."""

    instance: do.Instance
    spec: do.FederationSpec
    seeds: int
    work: Path

    def spec_of(self, partition: str, seed: int) -> do.FederationSpec:
        return self.spec.replace(partition=partition, seed=seed)


def solved(instance: do.Instance, method: str, seed: int) -> do.Solution:
    """A method's plan; only `random` and `q-learning` differ by seed."""
    name, _, cold = method.partition(" ")
    result = do.solve(instance, do.QLearning(cold=True) if cold else name, seed=seed)
    if result.solution.termination == "interrupted":
        raise KeyboardInterrupt
    return result.solution


def solve_front(instance: do.Instance) -> do.ParetoFront:
    """The whole front."""
    front = do.pareto(instance, points=WEIGHTS)
    if front.interrupted:
        raise KeyboardInterrupt
    return front


def fedavg_plans(setting: Setting) -> dict[str, do.FedAvgPlan]:
    """FedAvg with the student of least J, and with each of the lightest beside it."""
    given = setting.instance, setting.spec.calibration
    best = do.plan_fedavg(*given)
    light = sorted(setting.instance.models, key=lambda model: model.cycles_per_sample)[:LIGHTEST]
    others = [model.name for model in light if model.name != best.student]
    return {FEDAVG: best} | {
        f"fedavg of {name}": do.plan_fedavg(*given, student=name) for name in others
    }


def plans_of(
    setting: Setting, front: do.ParetoFront, fedavg_plan: dict[str, do.FedAvgPlan], seed: int
) -> dict[str, do.FederationPlan]:
    """All plans that `federate_all` carries out, by their methods."""
    instance = setting.instance
    plans = {"hard labels": do.local_only(instance, setting.spec.calibration)}
    for method in SOLVED:
        plans[method] = do.FederationPlan(instance, solved(instance, method, seed))
    delays = {name: plans[name].solution.total_delay_s or 0.0 for name in MEASURED}
    delays |= {name: plan.total_delay_s for name, plan in fedavg_plan.items()}
    for name, delay in delays.items():
        found = most_accurate_within(front, delay)
        if found is not None:
            plans[f"{MATCHED}{name}"] = do.FederationPlan(instance, found)
    return plans


def federation_rows(
    setting: Setting, front: do.ParetoFront, fedavg_plan: dict[str, do.FedAvgPlan]
) -> Iterator[Row]:
    """A row for each partition, seed and plan, as they are done."""
    for partition in PARTITIONS:
        for seed in range(setting.seeds):
            plans = plans_of(setting, front, fedavg_plan, seed)
            spec, output = setting.spec_of(partition, seed), setting.work / f"{partition}-{seed}"
            with progress_bar() as callback:
                found = do.federate_all(plans, spec, output=output, resume=True, callback=callback)
            for method, federation in found.items():
                if federation.interrupted:
                    raise KeyboardInterrupt
                raise_failed(partition, seed, method, federation.failed.reason.tolist())
                yield row_of(partition, seed, method, federation)


def raise_failed(partition: str, seed: int, method: str, reasons: list[str]) -> None:
    """DtkdError where trainings have failed: a mean without them would mislead."""
    if reasons:
        where = f"{partition}, seed {seed}, {method}: {len(reasons)} trainings failed"
        raise do.DtkdError(f"{where}: {reasons[0]}; the same command tries them again")


def row_of(partition: str, seed: int, method: str, federation: do.Federation) -> Row:
    return {
        "partition": partition, "seed": seed, "method": method,
        "mean_accuracy": federation.realised_accuracy,
        "predicted_accuracy": float(federation.users.predicted_accuracy.mean()),
        "total_delay_s": federation.total_delay_s,
        "students": counts_text(federation.users.model.value_counts().to_dict()),
        "at_server": int((federation.users.place == "server").sum()),
        "teacher_accuracy": federation.teacher_accuracy,
    }  # fmt: skip


def counts_text(counts: dict[str, int]) -> str:
    return " ".join(f"{name}:{count}" for name, count in counts.items())


def fedavg_rows(setting: Setting, plans: dict[str, do.FedAvgPlan]) -> Iterator[Row]:
    """FedAvg's rows: each run is a job of its own, in one process."""
    cases = [
        (partition, seed, method)
        for partition in PARTITIONS
        for seed in range(setting.seeds)
        for method in plans
    ]
    jobs = [
        fedavg_job(plans[method], setting.spec_of(partition, seed))
        for partition, seed, method in cases
    ]
    tasks = [task for _, task in jobs]
    path, advice = setting.work / "fedavg.jsonl", "name another --work, or remove it"
    with (
        KeepOnCtrlC(), progress_bar() as callback,
        workers(processes(setting.spec.jobs), None, execute, FedAvgResult) as work,
        Journal(path, FedAvgResult, tasks, True, advice) as journal,
    ):  # fmt: skip
        if run_pending(jobs, journal, work, partial(callback, "fedavg")):
            raise KeyboardInterrupt
        runs = [journal.rows[task] for task in tasks]
    for case, run in zip(cases, runs, strict=True):
        partition, seed, method = case
        raise_failed(*case, [run.reason] if run.outcome == "failed" else [])
        plan = plans[method]
        yield {
            "partition": partition, "seed": seed, "method": method,
            "mean_accuracy": run.accuracy, "predicted_accuracy": plan.expected_accuracy,
            "total_delay_s": plan.total_delay_s,
            "students": counts_text({plan.student: len(plan.instance.users)}), "at_server": 0,
        }  # fmt: skip


def measure(setting: Setting, folder: Path, header: list[str]) -> None:
    """All runs, and the files."""
    front, plans = solve_front(setting.instance), fedavg_plans(setting)
    rows = []
    for row in federation_rows(setting, front, plans):
        print(
            f"{row['partition']:15} seed {row['seed']}  {row['method']:34}"
            f"{row['mean_accuracy']:8.2%} {row['total_delay_s']:10.2f} s", flush=True,
        )  # fmt: skip
        rows.append(row)
    rows += fedavg_rows(setting, plans)
    write_all(folder, rows, front, list(plans.values()), header)


def read_setting(options: argparse.Namespace) -> Setting:
    """By default Fashion-MNIST; the instance gets the calibration's students and task."""
    quick = options.quick
    data = "digits" if quick else "fashion-mnist"
    calibration = do.read_calibration(options.table or HERE / "calibration" / f"{data}.json")
    work = options.work or options.folder / "headline.runs"
    instance = do.read_instance(INSTANCES / ("n10.json" if quick else "n50.json"))
    return Setting(
        instance=calibration.into(instance),
        spec=do.FederationSpec(
            data=data,
            data_dir=options.data_dir,
            calibration=calibration,
            jobs=options.jobs,
            cache=work / "teachers",
        ),
        seeds=options.seeds or (2 if quick else 5),
        work=work,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10 users, the digits, 2 seeds")
    parser.add_argument("--seeds", type=int, help="how many, at least 2; by default 5")
    parser.add_argument("--table", type=Path, help="calibrated table of the same data")
    parser.add_argument("--data-dir", type=Path, help="folder of Fashion-MNIST")
    parser.add_argument("--jobs", type=int, default=-1, help="processes at once; -1: one a core")
    parser.add_argument("--folder", type=Path, default=HERE, help="for the results")
    parser.add_argument("--work", type=Path, help="for the trainings; by default in --folder")
    options = parser.parse_args()
    if options.seeds is not None and options.seeds < 2:
        parser.error("--seeds: an interval takes 2 or more")
    header = provenance(PACKAGES, "each training on one thread")
    try:
        measure(read_setting(options), options.folder, header)
    except do.DtkdError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command resumes", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

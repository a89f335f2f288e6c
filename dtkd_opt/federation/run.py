"""The steps of a federation: shards, teacher, one task a user, an engine, and the results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path

from dtkd_opt.distill.calibrate import default_cache
from dtkd_opt.distill.results import ADVICE
from dtkd_opt.distill.teacher import Teacher, load_teacher
from dtkd_opt.errors import InputError
from dtkd_opt.federation.hyperparameters import differences, expected_interval
from dtkd_opt.federation.inprocess import execute
from dtkd_opt.federation.party_data import PartyData
from dtkd_opt.federation.plan import FederationPlan
from dtkd_opt.federation.report import bit_notes, users_frame, write_results
from dtkd_opt.federation.result import Federation
from dtkd_opt.federation.setup import Setup, prepare
from dtkd_opt.federation.shards import shard_notes
from dtkd_opt.federation.spec import Engine, FederationSpec
from dtkd_opt.federation.timeline import build_timeline
from dtkd_opt.federation.user_training import UserTraining, UserTrainingResult
from dtkd_opt.records.result_files import FEDERATION_JOURNAL
from dtkd_opt.runtime.interrupts import KeepOnCtrlC
from dtkd_opt.runtime.jobs import RunJobs, processes, require
from dtkd_opt.runtime.journal import Journal
from dtkd_opt.runtime.runner import PhaseCallback, run_pending
from dtkd_opt.runtime.workers import workers

TEACHER, USERS = "teacher", "users"  # phases
_FLOWER = (1, 40), (2,)  # from this version to before that, as the extra has it


def carry_out(
    plans: Mapping[str, FederationPlan],
    spec: FederationSpec,
    output: Path | None,
    resume: bool,
    callback: PhaseCallback,
) -> dict[str, Federation]:
    """See :func:`dtkd_opt.federate_all`; files of a single plan are in `output` itself."""
    engine = _engine(spec)
    setup = prepare(plans, spec, output, resume)
    teacher, results, interrupted = None, dict[UserTraining, UserTrainingResult](), True
    with KeepOnCtrlC(pass_on=True) as ctrl_c:
        with suppress(KeyboardInterrupt):  # wherever it came: finished users are kept
            teacher = _train_teacher(setup, callback)
            interrupted = _train_users(setup, teacher, engine, resume, callback, results)
        ctrl_c.finish()
        federations = {
            name: _federation(setup, plan, teacher, results, interrupted)
            for name, plan in plans.items()
        }
        for name, folder in ({} if interrupted else setup.folders).items():
            write_results(federations[name], folder)
    return federations


def _engine(spec: FederationSpec) -> AbstractContextManager[RunJobs[UserTrainingResult]]:
    """What runs the tasks: a function from tasks to results, as they come."""
    require("joblib", "train", "federate")
    jobs = processes(spec.jobs)
    if spec.engine == "in-process":
        return workers(jobs, None, execute, UserTrainingResult)
    _require_flower(spec.engine)
    from dtkd_opt.federation.flower.engine import flower

    return nullcontext(partial(flower, jobs, spec.engine == "flower-simulation"))


def _require_flower(engine: Engine) -> None:
    """InputError where Flower is missing, or its commands may not be those that are used."""
    source = f"the engine {engine}"
    for package in ("flwr", "ray") if engine == "flower-simulation" else ("flwr",):
        require(package, "federated", source)
    here = version("flwr")
    first, end = _FLOWER
    if not first <= tuple(int(part) for part in here.split(".")[:2]) < end:
        needed = f"flwr>={'.'.join(map(str, first))},<{end[0]}"
        fault = f'needs {needed}, here is {here}: pip install "dtkd-opt[federated]"'
        raise InputError(source, [fault])


def _train_teacher(setup: Setup, callback: PhaseCallback) -> Teacher | None:
    """The teacher, where a plan's students learn from one."""
    if setup.teacher_rows is None:
        return None
    return load_teacher(
        setup.data,
        setup.spec.cache or default_cache(),
        seed=setup.spec.seed,
        rows=setup.teacher_rows,
        callback=lambda done: callback(TEACHER, done, 1),
    )


def _train_users(
    setup: Setup,
    teacher: Teacher | None,
    engine: AbstractContextManager[RunJobs[UserTrainingResult]],
    resume: bool,
    callback: PhaseCallback,
    results: dict[UserTraining, UserTrainingResult],
) -> bool:
    """Add the results there are to `results`; whether Ctrl-C came."""
    parties = setup.party_data(teacher)
    tasks: dict[UserTraining, PartyData] = {}  # a training that several plans share runs once
    for plan in setup.plans.values():
        of_users = zip(setup.tasks(plan, teacher), parties, setup.shards, strict=True)
        for task, party, shard in of_users:
            if shard.fault:  # anew each time: no journal keeps what was never tried
                results[task] = UserTrainingResult(spec=task, outcome="failed", reason=shard.fault)
            else:
                tasks[task] = party
    cost = {task: setup.cost(task) for task in tasks}
    # a long one last would run alone
    jobs = [(tasks[task], task) for task in sorted(tasks, key=lambda task: -cost[task])]
    path = None if setup.output is None else setup.output / FEDERATION_JOURNAL
    with engine as work, Journal(path, UserTrainingResult, list(tasks), resume, ADVICE) as journal:
        try:
            return run_pending(jobs, journal, work, partial(callback, USERS), cost.__getitem__)
        finally:
            results.update(journal.rows)


def _federation(
    setup: Setup,
    plan: FederationPlan,
    teacher: Teacher | None,
    results: Mapping[UserTraining, UserTrainingResult],
    interrupted: bool,
) -> Federation:
    instance, data = plan.instance, setup.data
    tasks = setup.tasks(plan, teacher) if results else []  # no teacher where it was interrupted
    own_results = [results[task] for task in tasks if task in results]
    timeline = build_timeline(instance, plan.solution.users.to_plan(instance))
    used = teacher if plan.labels == "soft" else None
    return Federation(
        instance=instance,
        data=data.name,
        engine=setup.spec.engine,
        users=users_frame(instance, plan.solution, timeline, own_results),
        timeline=timeline,
        teacher_accuracy=None if used is None else used.accuracy(data, data.test),
        expected_interval=expected_interval(plan, setup.calibration(plan)),
        notes=tuple(_notes(setup, plan)),
        interrupted=interrupted,
    )


def _notes(setup: Setup, plan: FederationPlan) -> Iterator[str]:
    data = setup.data
    yield from shard_notes(data, setup.shards)
    if plan.labels == "soft":  # with hard labels nothing is sent
        yield from bit_notes(plan.instance, plan.solution, data)
    samples = 0 if setup.teacher_rows is None else len(setup.teacher_rows)
    yield from differences(plan, data, setup.calibration(plan), setup.spec.partition, samples)

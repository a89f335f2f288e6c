"""The course of a federation: shards, teacher, one task a user, an engine, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from importlib.metadata import version

from dtkd_opt.distill.calibrate import default_cache
from dtkd_opt.distill.teacher import Teacher, load_teacher
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.federate import ENGINES, IN_PROCESS, SIMULATION, Say
from dtkd_opt.federate.hyperparameters import differences, expected_interval
from dtkd_opt.federate.inprocess import in_process
from dtkd_opt.federate.party_data import Case
from dtkd_opt.federate.planned import Planned
from dtkd_opt.federate.report import bit_notes, users_table, write_results
from dtkd_opt.federate.result import Federation
from dtkd_opt.federate.setup import JOURNAL, OTHERWISE, Scene, Settings, prepare
from dtkd_opt.federate.shards import shard_notes
from dtkd_opt.federate.spec import Asked, Outcome
from dtkd_opt.federate.timeline import clock
from dtkd_opt.proof.check import plan_of
from dtkd_opt.runtime.interrupts import KeepOnCtrlC
from dtkd_opt.runtime.jobs import processes, require
from dtkd_opt.runtime.journal import Journal
from dtkd_opt.runtime.runner import FollowPhases, do_missing
from dtkd_opt.runtime.workers import Work

TEACHING, USERS = "teacher", "users"  # phases
_FLOWER = (1, 40), (2,)  # from this version to before that, as the extra has it


def carry_out(
    plans: Mapping[str, Planned], settings: Settings, say: Say, follow: FollowPhases
) -> dict[str, Federation]:
    """See :func:`dtkd_opt.federate.federate_all`; files of a single plan are in `output` itself."""
    engine = _engine(settings)
    scene = prepare(plans, settings)
    teacher, found, stopped = None, dict[Asked, Outcome](), True
    with KeepOnCtrlC(pass_on=True) as ctrl_c:
        with suppress(KeyboardInterrupt):  # wherever it came: what is done is kept
            teacher = _teach(scene, say, follow)
            stopped = _train(scene, teacher, engine, follow, found)
        ctrl_c.finish()
        federations = {
            name: _sum_up(scene, one, teacher, found, stopped) for name, one in plans.items()
        }
        for name, folder in ({} if stopped else scene.folders).items():
            write_results(federations[name], folder)
    return federations


def _engine(settings: Settings) -> AbstractContextManager[Work[Outcome]]:
    """Who does the tasks: a function from tasks to outcomes, as they come."""
    if settings.engine not in ENGINES:
        raise UsageError(f'engine must be one of {", ".join(ENGINES)}, got "{settings.engine}"')
    require("joblib", "train", "federate")
    jobs = processes(settings.jobs)
    if settings.engine == IN_PROCESS:
        return in_process(jobs)
    _require_flower(settings.engine)
    from dtkd_opt.federate.flower.engine import flower

    return flower(jobs, settings.engine == SIMULATION)


def _require_flower(engine: str) -> None:
    """InputError where Flower is missing, or its commands may not be those that are used."""
    what = f"the engine {engine}"
    for package in ("flwr", "ray") if engine == SIMULATION else ("flwr",):
        require(package, "federated", what)
    here = version("flwr")
    first, end = _FLOWER
    if not first <= tuple(int(part) for part in here.split(".")[:2]) < end:
        needed = f"flwr>={'.'.join(map(str, first))},<{end[0]}"
        raise InputError(
            what, [f'needs {needed}, here is {here}: pip install "dtkd-opt[federated]"']
        )


def _teach(scene: Scene, say: Say, follow: FollowPhases) -> Teacher | None:
    """The teacher, where a plan asks for one."""
    if scene.taught is None:
        return None
    return load_teacher(
        scene.data,
        scene.settings.cache or default_cache(),
        seed=scene.settings.seed,
        rows=scene.taught,
        say=say,
        progress=lambda done: follow(TEACHING, done, 1),
    )


def _train(
    scene: Scene,
    teacher: Teacher | None,
    engine: AbstractContextManager[Work[Outcome]],
    follow: FollowPhases,
    found: dict[Asked, Outcome],
) -> bool:
    """Add the outcomes there are to `found`, by their questions, and say whether Ctrl-C came."""
    cases = scene.cases(teacher)
    sides: dict[Asked, Case] = {}  # by question: what several plans ask is done once
    for planned in scene.plans.values():
        sides |= dict(zip(scene.asked(planned, teacher), cases, strict=True))
    effort = {asked: scene.effort(asked) for asked in sides}
    # a long one last would run alone
    tasks = [(sides[asked], asked) for asked in sorted(sides, key=lambda one: -effort[one])]
    folder, resume = scene.settings.output, scene.settings.resume
    path = None if folder is None else folder / JOURNAL
    with engine as work, Journal(path, Outcome, list(sides), resume, OTHERWISE) as journal:
        try:
            return do_missing(tasks, journal, work, partial(follow, USERS), effort.__getitem__)
        finally:
            found.update(journal.runs)


def _sum_up(
    scene: Scene,
    planned: Planned,
    teacher: Teacher | None,
    found: Mapping[Asked, Outcome],
    stopped: bool,
) -> Federation:
    instance, data = planned.instance, scene.data
    asked = scene.asked(planned, teacher) if found else []  # no teacher where it was stopped
    outcomes = [found[one] for one in asked if one in found]
    taught = teacher if planned.labels == "soft" else None
    return Federation(
        instance=instance,
        data=data.name,
        engine=scene.settings.engine,
        users=users_table(instance, planned.solution, outcomes),
        clock=clock(instance, plan_of(instance, planned.solution)),
        teacher_accuracy=None if taught is None else taught.accuracy(data, data.test),
        expected=expected_interval(planned, scene.settings.table_for(planned)),
        notes=tuple(_notes(scene, planned)),
        interrupted=stopped,
    )


def _notes(scene: Scene, planned: Planned) -> Iterator[str]:
    settings, data = scene.settings, scene.data
    yield from shard_notes(data, scene.shards)
    if planned.labels == "soft":  # with hard labels nothing crosses
        yield from bit_notes(planned.instance, planned.solution, data)
    taught = 0 if scene.taught is None else len(scene.taught)
    yield from differences(planned, data, settings.table_for(planned), settings.partition, taught)

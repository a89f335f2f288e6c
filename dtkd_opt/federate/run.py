"""The course of a federation: shards, teacher, one task a user, an engine, and what came of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from dtkd_opt.calibration import Calibration
from dtkd_opt.check import check_plan, plan_of
from dtkd_opt.distill.calibrate import default_cache
from dtkd_opt.distill.costs import count_costs
from dtkd_opt.distill.data import Dataset, load_data
from dtkd_opt.distill.jobs import VERSION
from dtkd_opt.distill.networks import STUDENTS, build_network
from dtkd_opt.distill.partition import concentration
from dtkd_opt.distill.teacher import Teacher, load_teacher
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.federate import ENGINES, IN_PROCESS, SIMULATION, Follow, Say
from dtkd_opt.federate.clock import clock
from dtkd_opt.federate.holdings import Case, case_of, common_of
from dtkd_opt.federate.inprocess import in_process
from dtkd_opt.federate.question import Asked, Outcome
from dtkd_opt.federate.recipes import differences, expected_interval, recipes_for
from dtkd_opt.federate.report import bit_notes, users_table, write_results
from dtkd_opt.federate.result import Federation
from dtkd_opt.federate.shards import Shard, deal, shard_notes, training_seed, twins_rows
from dtkd_opt.instance import Instance
from dtkd_opt.interrupts import KeepOnCtrlC
from dtkd_opt.jobs import processes, require
from dtkd_opt.jobs.journal import Journal
from dtkd_opt.jobs.missing import do_missing
from dtkd_opt.jobs.workers import Work
from dtkd_opt.solution import Solution

JOURNAL = "users.jsonl"
TEACHING, USERS = "teacher", "users"  # phases
_FLOWER = "1.42.0"  # as the extra has it
_OTHERWISE = "name another --output, or remove it"  # where a file holds other trainings


@dataclass(frozen=True, eq=False)
class Settings:
    """All that :func:`dtkd_opt.federate.federate` is given beside instance and solution."""

    data: str
    data_dir: Path | None
    partition: str
    seed: int
    table: Calibration | None
    engine: str
    jobs: int
    output: Path | None
    resume: bool
    cache: Path | None


@dataclass(frozen=True, eq=False)
class _Scene:
    """What is known before a training begins."""

    instance: Instance
    solution: Solution
    settings: Settings
    data: Dataset
    shards: list[Shard]

    def tasks(self, teacher: Teacher) -> list[tuple[Case, Asked]]:
        """A task for each user, in the instance's order."""
        recipes = recipes_for(self.instance, self.solution, self.settings.table)
        common = common_of(self.data)
        tasks = []
        for n, (shard, recipe) in enumerate(zip(self.shards, recipes, strict=True)):
            plan = self.solution.users[n]
            asked = Asked(
                user=plan.name,
                student=plan.model,
                place=plan.place,
                recipe=recipe,
                seed=training_seed(self.settings.seed, n),
                data=self.data.name,
                data_sha256=self.data.sha256,
                samples=len(shard.rows),
                fresh=shard.fresh,
                shard_sha256=shard.sha256,
                teacher_sha256=teacher.sha256,
                version=VERSION,
            )
            tasks.append((case_of(self.data, common, shard, teacher), asked))
        return tasks

    def effort(self, asked: Asked) -> float:
        """About how long a user's training takes."""
        network = build_network(asked.student, self.data.shape, self.data.classes, 0)
        costs = count_costs(network, self.data.shape)
        return costs.effort(asked.recipe, asked.samples, len(self.data.test))


def carry_out(
    instance: Instance, solution: Solution, settings: Settings, say: Say, follow: Follow
) -> Federation:
    """See :func:`dtkd_opt.federate.federate`."""
    engine = _engine(settings)
    scene = _prepare(instance, solution, settings)
    teacher: Teacher | None = None
    with KeepOnCtrlC() as ctrl_c:
        try:
            teacher = _teach(scene, say, follow)
        except KeyboardInterrupt:
            return _sum_up(scene, None, [], True)
        outcomes, stopped = _train(scene, teacher, engine, follow)
        ctrl_c.finish()
        federation = _sum_up(scene, teacher, outcomes, stopped)
        if settings.output is not None and not stopped:
            write_results(federation, settings.output)
    return federation


def _prepare(instance: Instance, solution: Solution, settings: Settings) -> _Scene:
    """All that can be wrong is found out here, before hours of training."""
    concentration(settings.partition)
    if settings.seed < 0:
        raise UsageError(f"seed must be a whole number of at least 0, got {settings.seed}")
    if settings.output is not None:
        require("matplotlib", "train", "the figures of federate")
    if faults := check_plan(instance, solution)[1]:
        raise InputError("solution", faults)
    if unknown := sorted(set(map(str, solution.users.model)) - set(STUDENTS)):
        fault = f'the plan uses "{unknown[0]}", which cannot be trained; choose of '
        raise InputError("solution", [fault + ", ".join(STUDENTS)])
    recipes_for(instance, solution, settings.table)
    data = load_data(settings.data, settings.data_dir)
    shards = deal(data, instance, settings.partition, settings.seed)
    twins_rows(shards)
    if settings.output is not None:
        _claim(settings.output / JOURNAL, settings.resume)
    return _Scene(instance, solution, settings, data, shards)


def _claim(path: Path, resume: bool) -> None:
    """A journal of one's own, made now: a folder that takes no files is found out in time."""
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        Journal(path, Outcome, (), False, _OTHERWISE).close()
    elif not resume:
        raise UsageError(f"{path} holds trainings: resume them, or name another output")


def _engine(settings: Settings) -> AbstractContextManager[Work[Outcome]]:
    """Who does the tasks: a function from tasks to outcomes, as they come."""
    if settings.engine not in ENGINES:
        raise UsageError(f'engine must be one of {", ".join(ENGINES)}, got "{settings.engine}"')
    require("joblib", "train", "federate")
    jobs = processes(settings.jobs)
    if settings.engine == IN_PROCESS:
        return in_process(jobs)
    _require_flower(settings.engine)
    from dtkd_opt.federate.flower import flower

    return flower(jobs, settings.engine == SIMULATION)


def _require_flower(engine: str) -> None:
    """InputError where Flower is missing, or is another than that whose internals are used."""
    what = f"the engine {engine}"
    for package in ("flwr", "ray") if engine == SIMULATION else ("flwr",):
        require(package, "federated", what)
    if (here := version("flwr")) != _FLOWER:
        fault = f'needs flwr {_FLOWER}, here is {here}: pip install "dtkd-opt[federated]"'
        raise InputError(what, [fault])


def _teach(scene: _Scene, say: Say, follow: Follow) -> Teacher:
    return load_teacher(
        scene.data,
        scene.settings.cache or default_cache(),
        seed=scene.settings.seed,
        rows=twins_rows(scene.shards),
        say=say,
        progress=lambda done: follow(TEACHING, done, 1),
    )


def _train(
    scene: _Scene,
    teacher: Teacher,
    engine: AbstractContextManager[Work[Outcome]],
    follow: Follow,
) -> tuple[list[Outcome], bool]:
    """The outcomes there are, in the users' order, and whether Ctrl-C came."""
    tasks = scene.tasks(teacher)
    wanted = [asked for _, asked in tasks]
    effort = {asked: scene.effort(asked) for asked in wanted}
    tasks.sort(key=lambda task: -effort[task[1]])  # a long one last would run alone
    folder, resume = scene.settings.output, scene.settings.resume
    path = None if folder is None else folder / JOURNAL
    with engine as work, Journal(path, Outcome, wanted, resume, _OTHERWISE) as journal:
        now = partial(follow, USERS)
        stopped = do_missing(tasks, journal, work, now, effort.__getitem__)
        return [journal.runs[asked] for asked in wanted if asked in journal.runs], stopped


def _sum_up(
    scene: _Scene, teacher: Teacher | None, outcomes: Sequence[Outcome], stopped: bool
) -> Federation:
    instance, settings, data = scene.instance, scene.settings, scene.data
    plan = plan_of(instance, scene.solution)
    rows = twins_rows(scene.shards)
    notes = (
        *shard_notes(data, scene.shards),
        *bit_notes(instance, scene.solution, data),
        *differences(instance, scene.solution, data, settings.table, settings.partition, len(rows)),
    )
    return Federation(
        instance=instance,
        data=data.name,
        engine=settings.engine,
        users=users_table(instance, scene.solution, outcomes),
        clock=clock(instance, plan),
        teacher_accuracy=None if teacher is None else teacher.accuracy(data, data.test),
        expected=expected_interval(instance, scene.solution, settings.table),
        notes=notes,
        interrupted=stopped,
    )

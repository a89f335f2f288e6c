"""What is known before a training begins: data, shards, and what each plan asks of each user."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dtkd_opt.distill.costs import costs_of
from dtkd_opt.distill.data import Dataset, load_data
from dtkd_opt.distill.jobs import VERSION
from dtkd_opt.distill.networks import STUDENTS
from dtkd_opt.distill.partition import concentration
from dtkd_opt.distill.teacher import Teacher, make_folder
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.federate.hyperparameters import recipes_for
from dtkd_opt.federate.party_data import Case, case_of, common_of
from dtkd_opt.federate.planned import Planned
from dtkd_opt.federate.shards import Shard, check_seed, deal, training_seed, twins_rows
from dtkd_opt.federate.spec import Asked, Outcome
from dtkd_opt.federate.table import table_for
from dtkd_opt.problem.physics import Index
from dtkd_opt.proof.check import check_plan
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.runtime.jobs import require
from dtkd_opt.runtime.journal import Journal

JOURNAL = "users.jsonl"
OTHERWISE = "name another --output, or remove it"  # where a file holds other trainings


@dataclass(frozen=True, eq=False)
class Settings:
    """All that :func:`dtkd_opt.federate.federate_all` is given beside the plans."""

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

    def table_for(self, planned: Planned) -> Calibration | None:
        """The table that a plan is trained by, whichever plans are beside it."""
        return table_for(planned.instance, self.table, self.data)


@dataclass(frozen=True, eq=False)
class Scene:
    """Plans for the same users, by name, and what these users have."""

    plans: Mapping[str, Planned]
    settings: Settings
    data: Dataset
    shards: list[Shard]

    @cached_property
    def taught(self) -> Index | None:
        """Rows of what a teacher is trained on; None where no plan's students learn from one."""
        soft = any(planned.labels == "soft" for planned in self.plans.values())
        return twins_rows(self.shards) if soft else None

    @property
    def folders(self) -> dict[str, Path]:
        """Where the files of each plan go, by its name; those of a single one in `output`."""
        output = self.settings.output
        if output is None:
            return {}
        return {name: output / name if len(self.plans) > 1 else output for name in self.plans}

    def cases(self, teacher: Teacher | None) -> list[Case]:
        """The two sides of each user, in the instance's order."""
        common = common_of(self.data)
        return [case_of(self.data, common, shard, teacher) for shard in self.shards]

    def asked(self, planned: Planned, teacher: Teacher | None) -> list[Asked]:
        """What a plan asks of each user. Equal questions of two plans are one training."""
        recipes = recipes_for(planned, self.settings.table_for(planned))
        teacher_sha256 = None
        if planned.labels == "soft":
            assert teacher is not None  # trained for it
            teacher_sha256 = teacher.sha256
        return [
            Asked(
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
                teacher_sha256=teacher_sha256,
                version=VERSION,
            )
            for n, (plan, shard, recipe) in enumerate(
                zip(planned.solution.users, self.shards, recipes, strict=True)
            )
        ]

    def effort(self, asked: Asked) -> float:
        """About how long a user's training takes."""
        costs = costs_of(asked.student, self.data.shape, self.data.classes)
        return costs.effort(asked.recipe, asked.samples, len(self.data.test))


def prepare(plans: Mapping[str, Planned], settings: Settings) -> Scene:
    """All that can be wrong is found out here, before hours of training."""
    concentration(settings.partition)
    check_seed(settings.seed)
    if settings.output is not None:
        require("matplotlib", "train", "the figures of federate")
    for name, planned in plans.items():
        if Path(name).name != name:  # it is also that of a folder
            raise UsageError(f"a plan cannot be named {name!r}")
        _check(planned)
        recipes_for(planned, settings.table_for(planned))
    data = load_data(settings.data, settings.data_dir)
    shards = deal(data, _one_of(plans).instance, settings.partition, settings.seed)
    scene = Scene(plans, settings, data, shards)
    _ = scene.taught  # raises where twins mirror nothing
    if settings.output is not None:
        _claim(settings.output / JOURNAL, settings.resume)
        for folder in scene.folders.values():
            make_folder(folder)
    return scene


def _check(planned: Planned) -> None:
    """A plan that holds, of students that are networks, and with labels that its places have."""
    solution = planned.solution
    if faults := check_plan(planned.instance, solution)[1]:
        raise InputError("solution", faults)
    if unknown := sorted(set(map(str, solution.users.model)) - set(STUDENTS)):
        fault = f'the plan uses "{unknown[0]}", which cannot be trained; choose of '
        raise InputError("solution", [fault + ", ".join(STUDENTS)])
    if planned.labels == "hard" and (solution.users.place != "device").any():
        raise UsageError("hard labels alone are for plans that train all users on their devices")


def _one_of(plans: Mapping[str, Planned]) -> Planned:
    """Any of the plans; UsageError where there is none or their users have other samples."""
    if not plans:
        raise UsageError("plans: give one or more")
    first, *others = plans.values()
    users = first.instance.users
    for other in others:
        theirs = other.instance.users
        for key in ("name", "samples", "fresh_fraction"):
            mine, its = getattr(users, key), getattr(theirs, key)
            if len(mine) != len(its) or (mine != its).any():
                raise UsageError(f"plans must be for the same users, with the same {key}")
    return first


def _claim(path: Path, resume: bool) -> None:
    """A journal of one's own, made now: a folder that takes no files is found out in time."""
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        Journal(path, Outcome, (), False, OTHERWISE).close()
    elif not resume:
        raise UsageError(f"{path} holds trainings: resume them, or name another output")

"""The setup of a federation: data, shards, and each plan's tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dtkd_opt.distill.costs import costs_of
from dtkd_opt.distill.data import Dataset, load_data
from dtkd_opt.distill.jobs import VERSION
from dtkd_opt.distill.networks import STUDENTS
from dtkd_opt.distill.partition import concentration
from dtkd_opt.distill.results import create_journal
from dtkd_opt.distill.teacher import Teacher, create_folder
from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.federation.calibration import calibration_for
from dtkd_opt.federation.hyperparameters import train_configs
from dtkd_opt.federation.party_data import PartyData, common_of, party_data_of
from dtkd_opt.federation.plan import FederationPlan
from dtkd_opt.federation.shards import Shard, mirrored_rows, partition_data, training_seed
from dtkd_opt.federation.spec import FederationSpec
from dtkd_opt.federation.user_training import UserTraining, UserTrainingResult
from dtkd_opt.proof.check import check_plan
from dtkd_opt.records.arguments import as_kind
from dtkd_opt.records.arrays import Index
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.records.result_files import FEDERATION_JOURNAL
from dtkd_opt.runtime.jobs import require


@dataclass(frozen=True, eq=False)
class Setup:
    """Plans for the same users, by name, and the data of these users."""

    plans: Mapping[str, FederationPlan]
    spec: FederationSpec
    output: Path | None
    data: Dataset
    shards: list[Shard]

    @cached_property
    def teacher_rows(self) -> Index | None:
        """Rows that the teacher is trained on; None where no plan's students learn from one."""
        soft = any(plan.labels == "soft" for plan in self.plans.values())
        return mirrored_rows(self.shards) if soft else None

    @property
    def folders(self) -> dict[str, Path]:
        """Where the files of each plan go, by its name; those of a single one in `output`."""
        output = self.output
        if output is None:
            return {}
        return {name: output / name if len(self.plans) > 1 else output for name in self.plans}

    def calibration(self, plan: FederationPlan) -> Calibration | None:
        """The calibration that a plan is trained by, whichever plans are beside it."""
        return calibration_for(plan.instance, self.spec.calibration, self.spec.data)

    def party_data(self, teacher: Teacher | None) -> list[PartyData]:
        """What each user's device and digital agent hold, in the instance's order."""
        common = common_of(self.data)
        return [party_data_of(self.data, common, shard, teacher) for shard in self.shards]

    def tasks(self, plan: FederationPlan, teacher: Teacher | None) -> list[UserTraining]:
        """A plan's training of each user. Equal specs of two plans are one training."""
        configs = train_configs(plan, self.calibration(plan))
        teacher_sha256 = None
        if plan.labels == "soft":
            assert teacher is not None  # trained for it
            teacher_sha256 = teacher.sha256
        return [
            UserTraining(
                user=user.name,
                student=user.model,
                place=user.place,
                config=config,
                seed=training_seed(self.spec.seed, n),
                data=self.data.name,
                data_sha256=self.data.sha256,
                samples=len(shard.rows),
                fresh=shard.fresh,
                shard_sha256=shard.sha256,
                teacher_sha256=teacher_sha256,
                version=VERSION,
            )
            for n, (user, shard, config) in enumerate(
                zip(plan.solution.users, self.shards, configs, strict=True)
            )
        ]

    def cost(self, task: UserTraining) -> float:
        """About how long a user's training takes, in any unit."""
        costs = costs_of(task.student, self.data.shape, self.data.classes)
        return costs.training_flops(task.config, task.samples, len(self.data.test))


def prepare(
    plans: Mapping[str, FederationPlan], spec: FederationSpec, output: Path | None, resume: bool
) -> Setup:
    """The setup; faults of any kind are found here, before hours of training."""
    if output is not None:
        require("matplotlib", "train", "the figures of federate")
    concentration(spec.partition)
    if not isinstance(plans, Mapping):
        raise UsageError(f"plans must be FederationPlans by name, got {plans!r:.60}")
    for name, plan in plans.items():
        as_kind(FederationPlan, plan, f"plan {name!r} must be FederationPlan(instance, solution)")
        if Path(name).name != name:  # it is also that of a folder
            raise UsageError(f"a plan cannot be named {name!r}")
        _check(plan)
        train_configs(plan, calibration_for(plan.instance, spec.calibration, spec.data))
    data = load_data(spec.data, spec.data_dir)
    shards = partition_data(data, _check_same_users(plans).instance, spec.partition, spec.seed)
    _check_shards(shards, spec.strict)
    setup = Setup(plans, spec, output, data, shards)
    _ = setup.teacher_rows  # raises where twins mirror nothing
    if output is not None:
        create_journal(output / FEDERATION_JOURNAL, UserTrainingResult, resume)
        for folder in setup.folders.values():
            create_folder(folder)
    return setup


def _check(plan: FederationPlan) -> None:
    """A feasible plan, of students that are networks, and with labels that its places have."""
    solution = plan.solution
    if faults := check_plan(plan.instance, solution)[1]:
        raise InputError("solution", faults)
    unknown = [
        f'users[{n}].model: the plan uses "{student}", which cannot be trained; choose of '
        + ", ".join(STUDENTS)
        for n, student in enumerate(map(str, solution.users.model))
        if student not in STUDENTS
    ]
    if unknown:
        raise InputError("solution", unknown)
    if plan.labels == "hard" and (solution.users.place != "device").any():
        raise UsageError("hard labels alone are for plans that train all users on their devices")


def _check_shards(shards: Sequence[Shard], strict: bool) -> None:
    """InputError on the users that cannot be carried out, where nobody else is left or `strict`."""
    faults = [shard.fault for shard in shards if shard.fault]
    if faults and (strict or len(faults) == len(shards)):
        raise InputError("instance", faults)


def _check_same_users(plans: Mapping[str, FederationPlan]) -> FederationPlan:
    """The first plan; UsageError where there is none or another's users have other samples."""
    if not plans:
        raise UsageError("plans: give one or more")
    first, *others = plans.values()
    users = first.instance.users
    for other in others:
        for key in ("name", "samples", "fresh_fraction"):
            if not np.array_equal(getattr(users, key), getattr(other.instance.users, key)):
                raise UsageError(f"plans must be for the same users, with the same {key}")
    return first

"""The grid of a calibration's trainings: students × sizes × labels × seeds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

from dtkd_opt.distill.costs import Costs, costs_of
from dtkd_opt.distill.data import Dataset
from dtkd_opt.distill.jobs import VERSION, TrainingSpec
from dtkd_opt.distill.select_hyperparameters import hyperparameters_for
from dtkd_opt.distill.settings import FIRST_SELECTION_SEED, CalibrationSettings
from dtkd_opt.distill.training import TrainConfig
from dtkd_opt.records.calibration import ChosenHyperparameters, CurveLabels

LABELS: tuple[CurveLabels, ...] = ("hard", "device", "server")


@dataclass(frozen=True, eq=False)
class TrainingGrid:
    """A calibration's trainings, as specs."""

    data: Dataset
    teacher_sha256: str
    students: tuple[str, ...]
    sizes: tuple[int, ...]
    seeds: int
    settings: CalibrationSettings
    device: str

    @cached_property
    def costs(self) -> dict[str, Costs]:
        """Each student's costs."""
        shape, classes = self.data.shape, self.data.classes
        return {name: costs_of(name, shape, classes) for name in self.students}

    def selection_specs(self) -> list[TrainingSpec]:
        """All hyperparameters with hard and with soft labels, scored on the validation split.

        The largest size is left out, which would cost most of the time: it takes what is chosen for
        the one before it.
        """
        settings = self.settings
        sizes = self.sizes[:-1] or self.sizes
        seeds = range(FIRST_SELECTION_SEED, FIRST_SELECTION_SEED + settings.selection_seeds)
        kinds: tuple[CurveLabels, ...] = ("hard", "server")
        rates, batches = settings.learning_rates, settings.batch_sizes
        cases = product(self.students, sizes, kinds, rates, batches, seeds)
        return [self._spec("validation", *case) for case in cases]

    def training_specs(self, choices: Iterable[ChosenHyperparameters]) -> list[TrainingSpec]:
        """The calibration's trainings with the chosen hyperparameters, scored on the test split.

        A student without any for some kind of labels is left out.
        """
        choices = tuple(choices)
        hard, soft = ({c.student for c in choices if c.labels == k} for k in ("hard", "soft"))
        students = [student for student in self.students if student in hard & soft]
        specs = []
        for student, size, labels, seed in product(students, self.sizes, LABELS, range(self.seeds)):
            choice = hyperparameters_for(choices, student, labels, size)
            chosen = choice.learning_rate, choice.batch_size
            specs.append(self._spec("test", student, size, labels, *chosen, seed))
        return specs

    def _spec(
        self,
        scored_on: Literal["validation", "test"],
        student: str,
        samples: int,
        labels: CurveLabels,
        learning_rate: float,
        batch_size: int,
        seed: int,
    ) -> TrainingSpec:
        settings = self.settings
        config = TrainConfig(
            epochs=settings.epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            tau=settings.tau,
            alpha=settings.alpha,
        )
        return TrainingSpec(
            data=self.data.name,
            data_sha256=self.data.sha256,
            student=student,
            labels=labels,
            samples=samples,
            seed=seed,
            scored_on=scored_on,
            config=config,
            partition=settings.partition,
            fresh_fraction=settings.fresh_fraction if labels == "device" else 0.0,
            teacher_sha256=None if labels == "hard" else self.teacher_sha256,
            device=self.device,
            version=VERSION,
        )

    def cost(self, spec: TrainingSpec) -> float:
        """About how long training and scoring take, in FLOPs."""
        scored = self.data.test if spec.scored_on == "test" else self.data.validation
        return self.costs[spec.student].training_flops(spec.config, spec.samples, len(scored))

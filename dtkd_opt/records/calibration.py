"""Calibrations: accuracies that trainings reached, and the models that instances take from them.

The file format is documented in instances/README.md.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.records.accuracy import PLACES, AccuracyTable, Place
from dtkd_opt.records.arguments import as_file, as_kind, shown
from dtkd_opt.records.fields import (
    Count,
    Fraction,
    Name,
    NonNegative,
    Number,
    Positive,
    Record,
    Text,
    raise_faults,
)
from dtkd_opt.records.files import read_json, write_atomic
from dtkd_opt.records.instance import Instance, Model, Task, as_instance
from dtkd_opt.records.json_text import to_json
from dtkd_opt.records.streams import source_name
from dtkd_opt.records.validation import validate

FORMAT: Literal["dtkd-opt/accuracy/1"] = "dtkd-opt/accuracy/1"

CurveLabels = Literal["hard", "device", "server"]  # with soft labels a curve for each place
Labels = Literal["hard", "soft"]  # what a student learns from
_DATA = Path(__file__).parent / "data"
Accuracy = Literal["mean", "lower95", "fitted"]


class AccuracyStatistics(Record):
    """The test accuracies of one student, kind of labels and size, over seeds."""

    samples: Count  # D, of the student
    runs: Count  # seeds with a result
    mean: Fraction  # over the runs
    std: NonNegative | None  # over the runs, of two or more
    lower95: Fraction | None  # lower end of the mean's 95 % interval (Student's t)
    upper95: Fraction | None  # upper end
    used: Fraction  # mean, raised or lowered where it would fall with more samples
    used_lower95: Fraction | None  # lower95, lowered where it would fall with more samples


class PowerLaw(Record):
    """a − b D^−c through a curve's means; D is the number of samples."""

    a: Fraction  # limit of many samples
    b: NonNegative  # distance to it at one sample
    c: Positive  # how fast that falls
    fitted: tuple[Fraction, ...]  # values at the curve's sizes, no others
    residuals: tuple[Number, ...]  # mean - fitted at these


class AccuracyCurve(Record):
    """Accuracy against samples of one student and kind of labels."""

    student: Name  # its name
    labels: CurveLabels  # what it learned from: hard labels, or those of a place
    cells: Annotated[tuple[AccuracyStatistics, ...], Field(min_length=1)]  # one a size, rising
    fit: PowerLaw | None  # of four sizes or more

    @model_validator(mode="after")
    def _check(self) -> AccuracyCurve:
        faults, want = [], len(self.cells)
        for name in ("fitted", "residuals") if self.fit else ():
            if (got := len(getattr(self.fit, name))) != want:
                faults.append(f"fit.{name}: must have {want} values, one a cell, got {got}")
        raise_faults(faults)
        return self

    def values(self, accuracy: Accuracy) -> list[float | None]:
        """One value a size; None where it cannot be had."""
        if accuracy == "fitted":
            return [None] * len(self.cells) if self.fit is None else [*self.fit.fitted]
        return [entry.used if accuracy == "mean" else entry.used_lower95 for entry in self.cells]


class DistillationGain(Record):
    """Accuracy with soft labels minus that with hard ones, same seed, weights and samples."""

    student: Name  # its name
    labels: Literal["device", "server"]  # the place whose labels it had
    samples: Count  # D, of the student
    runs: Count  # seeds with both trainings
    mean: Number  # over the runs
    lower95: Number | None  # lower end of the mean's 95 % interval; of two runs or more
    upper95: Number | None  # upper end


class ChosenHyperparameters(Record):
    """What validation chose for one student, hard or soft labels, and size."""

    student: Name  # its name
    labels: Labels  # both places' soft labels share a choice
    samples: Count  # D, of the student
    learning_rate: Positive  # of Adam, at the start
    batch_size: Count  # samples of a step, at most
    accuracy: Fraction  # on the validation split


class NetworkCosts(Record):
    """The size of a teacher or student, and what it computes."""

    name: Name  # of the student, or `teacher`
    parameters: Count  # how many weights
    flops: Count  # of a forward pass of one sample
    accuracy: Fraction | None = None  # of the teacher, on the test split


class Calibration(Record):
    """Everything that a calibration found; `models`, ready for an instance, hold the means."""

    format: Literal["dtkd-opt/accuracy/1"] = FORMAT  # of its file
    data: Name  # name of the data set
    data_sha256: Text  # of its contents
    version: Text  # of dtkd-opt and torch
    device: Text  # where torch computed
    seeds: Count  # how many, from 0 on
    partition: Text  # how private samples were drawn: `iid` or `dirichlet(α)`
    fresh_fraction: Fraction  # hard labels only, in runs on the device
    tau: Positive  # τ, temperature of the soft labels
    alpha: Fraction  # α, their weight in the loss
    teacher_sha256: Text  # of the trained teacher
    task: Task  # epochs, bits and cycles of an instance with its models
    networks: tuple[NetworkCosts, ...]  # the students and the teacher
    models: Annotated[tuple[Model, ...], Field(min_length=1)]  # with the used means
    curves: tuple[AccuracyCurve, ...]  # of each student: hard labels, device, server
    lifts: tuple[DistillationGain, ...]  # what soft labels add to hard ones
    choices: tuple[ChosenHyperparameters, ...]  # what validation chose

    @property
    def curves_by_student(self) -> dict[tuple[str, str], AccuracyCurve]:
        """The curves by student and kind of labels."""
        return {(curve.student, curve.labels): curve for curve in self.curves}

    @model_validator(mode="after")
    def _check(self) -> Calibration:
        curves, faults = self.curves_by_student, []
        for i, model in enumerate(self.models):
            for place in PLACES:
                curve = curves.get((model.name, place))
                if curve is None or [entry.samples for entry in curve.cells] != [
                    *model.accuracy.samples
                ]:
                    faults.append(f"models[{i}]: must have a curve with its samples for {place}")
                elif curve.values("mean") != [*getattr(model.accuracy, place)]:
                    fault = "must be the used values of its curve"
                    faults.append(f"models[{i}].accuracy.{place}: {fault}")
        raise_faults(faults)
        return self

    def models_with(self, accuracy: Accuracy) -> tuple[Model, ...]:
        """The models with one kind of accuracy.

        Parameters
        ----------
        accuracy
            "mean"; "lower95", the lower end of the means' 95 % interval, for robust plans;
            "fitted", the power law at the calibrated sizes.

        Raises
        ------
        UsageError, InputError
            When it is none of these, or the calibration does not have it.
        """
        kinds = get_args(Accuracy)
        if not isinstance(accuracy, str) or accuracy not in kinds:
            raise UsageError(f"accuracy must be one of {', '.join(kinds)}, got {shown(accuracy)}")
        if accuracy == "mean":
            return self.models
        return tuple(m.replace(accuracy=self._accuracy(m, accuracy)) for m in self.models)

    def _accuracy(self, model: Model, accuracy: Accuracy) -> AccuracyTable:
        values: dict[Place, Any] = {}
        for place in PLACES:
            values[place] = self.curves_by_student[model.name, place].values(accuracy)
            if None in values[place]:
                size = model.accuracy.samples[values[place].index(None)]
                what = f"{accuracy} accuracy of {model.name} with {size:,.0f} samples"
                needs = "two seeds" if accuracy == "lower95" else "four sizes"
                raise InputError(self.data, [f"has no {what}; that takes {needs} or more"])
        return AccuracyTable(samples=model.accuracy.samples, **values)

    def into(self, instance: Instance, accuracy: Accuracy = "mean") -> Instance:
        """The instance with this calibration's models and task.

        Parameters
        ----------
        instance
            Its epochs must be the calibration's: delay and accuracy belong to the same training.
        accuracy
            As of :meth:`models_with`.

        Raises
        ------
        InputError
            When the epochs differ, or a user's `min_accuracy` is out of the new models' reach.
        """
        check_epochs(instance, self.task.epochs)
        return instance.replace(task=self.task, models=self.models_with(accuracy))

    def to_bytes(self) -> bytes:
        """The calibration as JSON, one line an entry."""
        return to_json(self.model_dump())


def as_calibration(given: Calibration) -> Calibration:
    """The calibration itself; UsageError where it is none."""
    return as_kind(Calibration, given, "calibration must be a Calibration: read_calibration(...)")


def check_epochs(instance: Instance, epochs: int, source: str = "instance") -> None:
    """InputError, on `source`, where an instance's delays are those of another training."""
    given = as_instance(instance).task.epochs
    if given != epochs:
        rule = f"must be {epochs}, the epochs that the table is trained with, got {given}"
        raise InputError(source, [f"task.epochs: {rule}; calibrate with --epochs {given}"])


def read_calibration(path: str | Path) -> Calibration:
    """Read and validate a calibration.

    Parameters
    ----------
    path
        A file in the format ``dtkd-opt/accuracy/1``, also ``.json.gz`` or "-" (standard input).

    Returns
    -------
    Calibration
        Its method `into` gives an instance its task and models.

    Raises
    ------
    InputError
        One line per fault, each with the file and the path inside it.
    """
    path = as_file(path)
    return validate(Calibration, read_json(path), source_name(path))


@cache
def shipped_calibration() -> Calibration:
    """The calibration on Fashion-MNIST that comes with dtkd-opt (experiments/README.md).

    Returns
    -------
    Calibration
        That behind a generated instance where no other is given.
    """
    return read_calibration(_DATA / "fashion-mnist.json")


def shipped_models(data: str) -> tuple[Model, ...]:
    """The calibrated student models of a data set that come with dtkd-opt.

    Parameters
    ----------
    data
        "fashion-mnist".

    Returns
    -------
    tuple of Model
        Their accuracies are means over the seeds.

    Raises
    ------
    UsageError
        When there are none for this data set.
    """
    shipped = sorted(path.stem for path in _DATA.glob("*.json"))
    if not isinstance(data, str) or data not in shipped:
        raise UsageError(f"models are shipped for {', '.join(shipped)}, got {shown(data)}")
    return shipped_calibration().models


def write_calibration(calibration: Calibration, path: str | Path) -> None:
    """Write a calibration atomically; :func:`read_calibration` gives back an equal record.

    Parameters
    ----------
    calibration, path
        What to write, and where; InputError when it cannot be written.
    """
    write_atomic(as_file(path), as_calibration(calibration).to_bytes())

"""The files of a calibration: itself, the trainings, a figure, and a summary of one page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dtkd_opt.distill.figures import accuracy_figure
from dtkd_opt.distill.jobs import TrainingRow, TrainingSpec
from dtkd_opt.distill.summary import summary
from dtkd_opt.distill.training import TrainConfig
from dtkd_opt.errors import UsageError
from dtkd_opt.records import outputs
from dtkd_opt.records.calibration import Calibration, write_calibration
from dtkd_opt.records.files import to_csv, write_atomic
from dtkd_opt.reporting.figures import svg
from dtkd_opt.runtime.jobs import Row
from dtkd_opt.runtime.journal import Journal

if TYPE_CHECKING:
    import pandas as pd

ADVICE = "name another output, or remove it"  # where a file holds other trainings
SELECTION, TRAINING = "choosing", "training"  # phases, and names of their journals


def journal_path(output: Path, phase: str) -> Path:
    """The file beside the calibration's in which a phase's trainings are kept as they end."""
    return output.with_name(f"{output.stem}.{phase}.jsonl")


def create_journal(path: Path, row_type: type[Row], resume: bool) -> None:
    """Create a journal, so that a folder that takes no files is found before hours of training.

    Raises
    ------
    UsageError
        When it holds trainings that are not to be resumed.
    """
    if not path.exists() or path.stat().st_size == 0:
        Journal(path, row_type, (), False, ADVICE).close()
    elif not resume:
        raise UsageError(f"{path} holds trainings: resume them, or name another output")


def result_paths(output: Path) -> tuple[Path, Path, Path, Path]:
    """The calibration's file, and those of the trainings, the figure and the summary."""
    csv, figure, page = (output.with_name(f"{output.stem}.{end}") for end in ("csv", "svg", "md"))
    return output, csv, figure, page


def check_output(output: Path, reads: Sequence[Path] = ()) -> None:
    """UsageError where a calibration's files would overwrite each other, or what it reads."""
    if output.is_dir():
        outputs.check_writable(output)  # "." has no name to put others beside
    journals = [journal_path(output, phase) for phase in (SELECTION, TRAINING)]
    outputs.check_output((*result_paths(output), *journals), ".json", reads)


def write_results(calibration: Calibration, rows: Sequence[TrainingRow], output: Path) -> None:
    """Write all files, each atomically, and the calibration last; InputError where one fails."""
    _, csv, figure, page = result_paths(output)
    write_atomic(csv, to_csv(trainings_frame(rows)))
    write_atomic(figure, svg(accuracy_figure(calibration), "calibration"))
    write_atomic(page, summary(calibration, rows).encode())
    write_calibration(calibration, output)


def trainings_frame(rows: Iterable[TrainingRow]) -> pd.DataFrame:
    """One row a training: its spec with the hyperparameters, and its result."""
    import pandas as pd

    spec = [key for key in TrainingSpec.model_fields if key != "config"]
    result = [key for key in TrainingRow.model_fields if key not in ("spec", "versions")]
    columns = [*spec, *TrainConfig.model_fields, *result]
    records = [
        row.spec.model_dump(exclude={"config"}) | row.spec.config.model_dump()
        | row.model_dump(include=set(result))
        for row in rows
    ]  # fmt: skip
    return pd.DataFrame(records, columns=columns)

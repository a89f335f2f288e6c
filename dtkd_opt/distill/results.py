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
from dtkd_opt.records.calibration import Calibration
from dtkd_opt.records.files import to_csv, write_files
from dtkd_opt.records.result_files import all_calibration_paths, calibration_paths
from dtkd_opt.reporting.figures import svg
from dtkd_opt.runtime.jobs import Row
from dtkd_opt.runtime.journal import Journal

if TYPE_CHECKING:
    import pandas as pd

ADVICE = "name another output, or remove it"  # where a file holds other trainings


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


def check_output(output: Path, reads: Sequence[Path] = ()) -> None:
    """Errors where a calibration's files would overwrite each other, or what it reads."""
    if output.is_dir():
        outputs.check_writable(output)  # "." has no name to put others beside
    outputs.check_output(all_calibration_paths(output), ".json", reads)


def write_results(calibration: Calibration, rows: Sequence[TrainingRow], output: Path) -> None:
    """Write all files, atomically, and the calibration last; InputError where one fails."""
    _, csv, figure, page = calibration_paths(output)
    contents = {
        csv: to_csv(trainings_frame(rows)),
        figure: svg(accuracy_figure(calibration), "calibration"),
        page: summary(calibration, rows).encode(),
        output: calibration.to_bytes(),
    }
    write_files(contents)


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

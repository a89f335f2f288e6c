"""Which files work of many results writes: known without loading what writes them.

`federate`, `compare` and `train-dqn` write into a folder, `calibrate` beside its table.
"""

from __future__ import annotations

from pathlib import Path

from dtkd_opt.records.files import without_ending

COMPARISON_JOURNAL = "runs.jsonl"
COMPARISON = ("runs.csv", "summary.csv", "gap_over_time.svg", "accuracy_delay.svg")
FEDERATION_JOURNAL = "users.jsonl"
FEDERATION = ("users.csv", "gantt.svg", "accuracy.svg", "summary.md")
DQN_CHECKPOINT = "checkpoint.safetensors"
DQN = ("dqn.json", "dqn.safetensors", "curve.csv", "curve.svg")
SELECTION, TRAINING = "choosing", "training"  # phases of a calibration, and names of its journals


def calibration_paths(output: Path) -> tuple[Path, Path, Path, Path]:
    """The calibration's file, and those of the trainings, the figure and the summary."""
    csv, figure, page = (_beside(output, end) for end in ("csv", "svg", "md"))
    return output, csv, figure, page


def calibration_journal(output: Path, phase: str) -> Path:
    """The file beside the calibration's in which a phase's trainings are kept as they end."""
    return _beside(output, f"{phase}.jsonl")


def all_calibration_paths(output: Path) -> tuple[Path, ...]:
    """All files of a calibration, its journals too."""
    journals = (calibration_journal(output, phase) for phase in (SELECTION, TRAINING))
    return (*calibration_paths(output), *journals)


def _beside(output: Path, ending: str) -> Path:
    return output.with_name(f"{without_ending(output).name}.{ending}")

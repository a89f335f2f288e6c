"""What jobs share: failed rows, reasons, how many processes."""

from __future__ import annotations

import pytest

from dtkd_opt.errors import InputError, UsageError
from dtkd_opt.runtime.jobs import Row, one_line, processes, reason_of, require


def test_a_text_of_many_lines_is_one_that_a_terminal_takes() -> None:
    assert one_line("  first\n\tsecond \x1b[31m ") == "first second \\x1b[31m"


def test_a_failed_row_has_its_reason_in_one_line() -> None:
    row = Row(spec=3, outcome="done", worker="here:1").failed("lost:\nno memory")
    assert (row.outcome, row.reason, row.worker) == ("failed", "lost: no memory", "here:1")


def test_own_errors_are_in_their_own_words_and_others_are_named() -> None:
    assert reason_of(UsageError("gap must be a number")) == "gap must be a number"
    assert reason_of(ValueError("too large")) == "ValueError: too large"


def test_a_missing_package_is_told_with_the_extra_that_brings_it() -> None:
    require("numpy", "train", "calibrate")
    with pytest.raises(InputError) as caught:
        require("no_such_package", "train", "calibrate")
    said = 'calibrate: needs no_such_package: pip install "dtkd-opt[train]"'
    assert str(caught.value) == said


def test_jobs_are_a_number_of_processes_or_one_a_core() -> None:
    assert processes(3) == 3
    assert processes(-1) >= 1
    for jobs in (0, -2, 1.5, "2", None):
        with pytest.raises(UsageError, match="jobs must be at least 1, or -1"):
            processes(jobs)  # type: ignore[arg-type]

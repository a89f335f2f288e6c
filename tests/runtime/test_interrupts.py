"""Ctrl-C that keeps what was found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dtkd_opt.runtime import interrupts
from dtkd_opt.runtime.interrupts import SIGNALS, KeepOnCtrlC


def test_a_nested_block_finishes_the_one_that_holds_the_handler() -> None:
    with KeepOnCtrlC() as outer:
        with KeepOnCtrlC() as inner:
            inner.finish()
            signal.raise_signal(signal.SIGINT)
        assert outer.pressed
    with KeepOnCtrlC(), KeepOnCtrlC(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_the_first_stops_the_work_and_what_is_sent_twice_counts_once() -> None:
    """`timeout` sends SIGTERM twice, a terminal that closes SIGHUP."""
    with KeepOnCtrlC() as ctrl_c:
        assert not ctrl_c.pressed
        with pytest.raises(KeyboardInterrupt):
            press()
        press()
        assert ctrl_c.pressed
    with pytest.raises(KeyboardInterrupt):
        press()  # the handler is Python's again


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_stops_and_a_second_one_does_so_again(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(number)
    clock = iter([10.0, 10.2])
    monkeypatch.setattr(interrupts, "monotonic", lambda: next(clock))
    with KeepOnCtrlC() as ctrl_c:
        ctrl_c.finish()
        signal.raise_signal(number)
        assert ctrl_c.pressed
        with pytest.raises(KeyboardInterrupt):
            press()
    assert signal.getsignal(number) == before


def test_a_handler_of_somebody_else_stays() -> None:
    caught = []
    before = signal.signal(signal.SIGTERM, lambda number, _: caught.append(number))
    try:
        with KeepOnCtrlC() as ctrl_c:
            signal.raise_signal(signal.SIGTERM)
            assert not ctrl_c.pressed
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught == [signal.SIGTERM]


def test_the_innermost_block_says_what_the_first_does() -> None:
    with KeepOnCtrlC(ends_process=True) as outer:
        with KeepOnCtrlC(at_once=False) as inner:
            press()
            assert inner.pressed
        assert outer.pressed


def test_the_block_of_the_process_is_finished_by_none_within() -> None:
    with KeepOnCtrlC(ends_process=True):
        with KeepOnCtrlC() as inner:
            inner.finish()
        with pytest.raises(KeyboardInterrupt):
            press()


SECOND = """
import os, signal, sys, time
from dtkd_opt.records.leftovers import temporary_folder
from dtkd_opt.runtime.interrupts import KeepOnCtrlC
with KeepOnCtrlC(ends_process=True, at_once=False), temporary_folder() as folder:
    signal.raise_signal(signal.SIGINT)
    time.sleep(0.12)
    print(folder.exists(), flush=True)
    signal.raise_signal(signal.SIGTERM)
    print("not reached")
"""


def test_the_second_ends_the_process_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    env = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SECOND],
        env=env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "True\n", "")
    assert list(tmp_path.iterdir()) == []


def test_steps_that_must_not_be_torn_are_told_only() -> None:
    with KeepOnCtrlC(at_once=False) as ctrl_c:
        press()
        assert ctrl_c.pressed


def test_a_ctrl_c_while_files_are_written_is_passed_on_after_it() -> None:
    written = []

    def write() -> None:
        with KeepOnCtrlC(pass_on=True) as ctrl_c:
            ctrl_c.finish()
            press()
            written.append("all")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert written == ["all"]

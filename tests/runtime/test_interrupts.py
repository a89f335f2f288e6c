"""Ctrl-C that keeps what was found."""

from __future__ import annotations

import signal

import pytest

from dtkd_opt.runtime.interrupts import KeepOnCtrlC


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


def test_the_first_ctrl_c_stops_the_work_and_the_next_do_nothing() -> None:
    with KeepOnCtrlC() as ctrl_c:
        assert not ctrl_c.pressed
        with pytest.raises(KeyboardInterrupt):
            press()
        press()
        assert ctrl_c.pressed
    with pytest.raises(KeyboardInterrupt):
        press()  # the handler is Python's again


def test_a_program_that_does_not_end_can_be_stopped_by_the_fifth() -> None:
    with KeepOnCtrlC() as ctrl_c:
        ctrl_c.finish()
        for _ in range(4):
            press()
        with pytest.raises(KeyboardInterrupt):
            press()


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

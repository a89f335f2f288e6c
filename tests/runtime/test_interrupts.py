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

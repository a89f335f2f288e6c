"""Ctrl-C that keeps what was found, and what else asks a program to end: SIGTERM and SIGHUP."""

from __future__ import annotations

import os
import signal
import threading
from time import monotonic
from types import FrameType
from typing import Any, ClassVar

from dtkd_opt.records.leftovers import undo_all

# SIGHUP: the terminal is gone; not on every system
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_AGAIN_S = 0.1  # `timeout` and terminals send what they send twice, at once


class KeepOnCtrlC:
    """Within this block the first Ctrl-C raises KeyboardInterrupt; so do SIGTERM and SIGHUP.

    A second one, 0.1 s or more after it, raises it again, or with `ends_process` ends the process
    at once, with 128 and the signal's number as its exit code. With `at_once` False the first one
    only sets `pressed`, for work whose steps must not be torn; after :meth:`finish` it does so,
    too, and spoils no writing.

    Blocks nest: signals are counted by the outermost, and the innermost says what the first does. A
    nested block finishes the outer ones, too, but for one with `ends_process`. With `pass_on` a
    signal that came after :meth:`finish` is raised at the end of the outermost block, for a caller
    who goes on with other work. Threads other than the main one have no part in this, and handlers
    that somebody else has set stay.
    """

    _blocks: ClassVar[list[KeepOnCtrlC]] = []  # of the main thread, the innermost last

    def __init__(self, *, at_once: bool = True, pass_on: bool = False, ends_process: bool = False):
        self._at_once, self._pass_on, self._ends_process = at_once, pass_on, ends_process
        self._count, self._finished, self._late = 0, False, False
        self._replaced: dict[int, Any] = {}  # handlers by the numbers of their signals
        self._main, self._ending = False, False
        self._last = 0.0  # when a signal came [s]

    @property
    def pressed(self) -> bool:
        """Whether Ctrl-C or another signal came in this block or an outer one."""
        return any(block._count for block in (self, *self._blocks[:1]))

    def __enter__(self) -> KeepOnCtrlC:
        self._main = threading.current_thread() is threading.main_thread()
        if not self._main:
            return self
        self._blocks.append(self)
        if self._blocks[0] is self:
            for number in SIGNALS:
                if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                    self._replaced[number] = signal.signal(number, self._handle)
        return self

    def finish(self) -> None:
        """From here on to the end of the block even the first signal stops nothing."""
        for block in self._blocks if self._main else (self,):
            block._finished = not block._ends_process

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Of the outermost block."""
        self._count += 1
        now, before = monotonic(), self._last
        self._last = now
        if self._count > 1:
            if now - before < _AGAIN_S:
                return
            if not self._ends_process:
                raise KeyboardInterrupt
            if not self._ending:  # a third one does not wait for what the second began
                self._ending = True
                undo_all()
            os._exit(128 + number)
        inner = self._blocks[-1]
        self._late = inner._finished
        if inner._at_once and not inner._finished:
            raise KeyboardInterrupt

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if not self._main:
            return
        self._blocks.remove(self)
        for number, handler in self._replaced.items():
            signal.signal(number, handler)
        if not self._blocks and self._late and self._pass_on and error is None:
            raise KeyboardInterrupt

"""Ctrl-C that keeps what was found: the first stops the work, more do not spoil the writing."""

from __future__ import annotations

import signal
import threading
from types import FrameType

_FORCE = 5  # a program that does not end on its own can still be killed by hand


class KeepOnCtrlC:
    """Within this block the first Ctrl-C raises KeyboardInterrupt and the next few do nothing.

    With `at_once` False the first one only sets `pressed`, for work whose steps must not be torn.
    Nested blocks and threads other than the main one leave the handler as it is; a nested block
    finishes the outer one, too. With `pass_on` a Ctrl-C that came after :meth:`finish` is raised at
    the end of the block, for a caller who goes on with other work; an outer block has it otherwise.
    """

    def __init__(self, *, at_once: bool = True, pass_on: bool = False):
        self._at_once, self._pass_on = at_once, pass_on
        self._count, self._finished, self._late = 0, False, False
        self._outer: KeepOnCtrlC | None = None

    @property
    def pressed(self) -> bool:
        """Whether Ctrl-C came in this block or an outer one."""
        return self._count > 0 or (self._outer is not None and self._outer.pressed)

    def __enter__(self) -> KeepOnCtrlC:
        main = threading.current_thread() is threading.main_thread()
        handler = signal.getsignal(signal.SIGINT) if main else None
        owner = getattr(handler, "__self__", None)
        self._outer = owner if isinstance(owner, KeepOnCtrlC) else None
        self._installed = handler is signal.default_int_handler
        if self._installed:
            signal.signal(signal.SIGINT, self._handle)
        return self

    def finish(self) -> None:
        """From here on to the end of the block even the first Ctrl-C stops nothing."""
        self._finished = True
        if self._outer is not None:
            self._outer.finish()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        first = self._count == 1
        self._late = self._late or (first and self._finished)
        if (first and self._at_once and not self._finished) or self._count >= _FORCE:
            raise KeyboardInterrupt

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._late and self._pass_on and error is None:
            raise KeyboardInterrupt

"""Ctrl-C that keeps what was found: the first stops the work, more do not spoil the writing."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

_FORCE = 5  # a program that does not end on its own can still be killed by hand


class KeepOnCtrlC:
    """Within this block the first Ctrl-C raises KeyboardInterrupt and the next few do nothing.

    With `at_once` False the first one only sets `pressed`, for work whose steps must not be torn.
    Nested blocks and threads other than the main one leave the handler as it is; a nested block
    finishes the outer one, too.
    """

    def __init__(self, *, at_once: bool = True):
        self._at_once, self._count = at_once, 0
        self._outer: KeepOnCtrlC | None = None

    @property
    def pressed(self) -> bool:
        return self._count > 0

    def __enter__(self) -> KeepOnCtrlC:
        self._count = 0
        main = threading.current_thread() is threading.main_thread()
        handler = signal.getsignal(signal.SIGINT) if main else None
        owner = getattr(handler, "__self__", None)
        self._outer = owner if isinstance(owner, KeepOnCtrlC) else None
        self._installed = handler is signal.default_int_handler
        if self._installed:
            signal.signal(signal.SIGINT, self._handle)
        return self

    def finish(self) -> None:
        """From here on to the end of the block even the first Ctrl-C does nothing."""
        self._count = max(self._count, 1)
        if self._outer is not None:
            self._outer.finish()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if (self._count == 1 and self._at_once) or self._count >= _FORCE:
            raise KeyboardInterrupt

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

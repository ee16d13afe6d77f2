"""Keeps SIGINT's handler out of a few lines that must run whole: a half-sent frame would end the connection.

Stop arrives as KeyboardInterrupt between any two steps of the main thread, also between sending bytes and noting that they
are sent. Only the main thread runs handlers, so only there is anything to do.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.signal converts to enums and back: ten times slower
import select
import threading
from collections.abc import Callable
from signal import SIGINT
from typing import Any, Self

SLICE = 250
"""Milliseconds."""

_MAIN_THREAD = threading.main_thread().ident


class InterruptShield:
    """`with shield:` a SIGINT that comes inside is handled right behind the block. Not reentrant; guard it by a lock.

    Inside another shield, of either kind, it leaves that one's work to it: a change of the handler costs 0.3 us.
    """

    __slots__ = ("_came", "_handler")

    def __init__(self) -> None:
        self._came = False
        self._handler: Callable[[int, Any], Any] | None = None

    def __enter__(self) -> None:
        if threading.get_ident() == _MAIN_THREAD:
            handler = _signal.getsignal(SIGINT)
            if callable(handler) and type(getattr(handler, "__self__", None)) not in _SHIELDS:
                # A finalizer that comes in between must find the shield either not yet begun or up: this object is made
                # before, and the handler is noted behind, where only `__exit__` needs it.
                note = self._note
                self._came = False
                _signal.signal(SIGINT, note)
                self._handler = handler

    def __exit__(self, *exc_info: object) -> None:
        if threading.get_ident() == _MAIN_THREAD and self._handler is not None:
            handler, self._handler = self._handler, None
            _signal.signal(SIGINT, handler)
            if self._came:
                handler(SIGINT, None)

    def _note(self, number: int, frame: object) -> None:
        self._came = True


class PollShield:
    """Within `with`, a SIGINT is handled in `poll` at once, and else at the end: what is read there is always acted upon."""

    __slots__ = ("_came", "_handler", "_open", "possible")

    def __init__(self) -> None:
        self._came = False
        self._open = False
        self._handler: Callable[[int, Any], Any] | None = None
        self.possible = True
        """False where SIGINT has no Python handler that could wait."""

    def __enter__(self) -> Self:
        if threading.get_ident() == _MAIN_THREAD:
            handler = _signal.getsignal(SIGINT)
            self.possible = callable(handler)
            if self.possible:
                self._handler = handler
                _signal.signal(SIGINT, self._note)
        return self

    def __exit__(self, *exc_info: object) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            _signal.signal(SIGINT, handler)
            if self._came:
                handler(SIGINT, None)

    def poll(self, poller: select.poll, milliseconds: float | None) -> bool:
        """Wait, a quarter of a second at most, until there is something to read; here KeyboardInterrupt may come out.

        That it ends by itself matters for interrupts without a signal to this thread (`_thread.interrupt_main`).
        """
        self._open = True
        try:
            if self._came and self._handler is not None:  # on the way here; nothing has been read that must be acted upon
                self._came = False
                self._handler(SIGINT, None)
            return bool(poller.poll(SLICE if milliseconds is None else min(SLICE, milliseconds)))
        finally:
            self._open = False

    def _note(self, number: int, frame: object) -> None:
        if self._open and self._handler is not None:
            self._open = False
            self._handler(number, frame)
        else:
            self._came = True


_SHIELDS = (InterruptShield, PollShield)

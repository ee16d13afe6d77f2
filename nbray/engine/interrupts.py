"""Keeps SIGINT's handler out of a few lines that must run whole: a half-sent frame would end the connection.

Stop arrives as KeyboardInterrupt between any two steps of the main thread, also between sending bytes and noting that they
are sent. Only the main thread runs handlers, so only there is anything to do.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.signal converts to enums and back: ten times slower
import threading
from collections.abc import Callable
from signal import SIGINT
from typing import Any

_MAIN_THREAD = threading.main_thread().ident


class InterruptShield:
    """`with shield:` a SIGINT that comes inside is handled right behind the block. Not reentrant; guard it by a lock."""

    __slots__ = ("_came", "_handler")

    def __init__(self) -> None:
        self._came = False
        self._handler: Callable[[int, Any], Any] | None = None

    def __enter__(self) -> None:
        if threading.get_ident() == _MAIN_THREAD:
            handler = _signal.getsignal(SIGINT)
            if callable(handler):
                self._came, self._handler = False, handler
                _signal.signal(SIGINT, self._note)

    def __exit__(self, *exc_info: object) -> None:
        if threading.get_ident() == _MAIN_THREAD and self._handler is not None:
            handler, self._handler = self._handler, None
            _signal.signal(SIGINT, handler)
            if self._came:
                handler(SIGINT, None)

    def _note(self, number: int, frame: object) -> None:
        self._came = True

"""Progress bars on a terminal or in a log: one line that is rewritten, or a line now and then where nothing can be."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Hashable
from typing import TextIO

from nbray.progress_board import BarState, Board, text

REDRAW_SECONDS = 0.1
LOG_SECONDS = 5.0
"""A log gets a line of each description at most so often, and the last one at the end."""

_ERASE = "\r\x1b[K"


class TerminalBars:
    """Draws on a stream; any thread."""

    def __init__(self, stream: Callable[[], TextIO], clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.RLock()
        self._board = Board()
        self._drawn: dict[str, float] = {}
        """When each line was drawn last."""
        self._late: dict[str, None] = {}
        """Lines of a log that have changed since."""
        self._on_line = ""
        """The key of the line that is on the screen without its end."""
        self._length = 0

    def show(self, task: Hashable, task_name: str, state: BarState) -> None:
        """A bar has moved."""
        with self._lock:
            now = self._clock()
            key = self._board.handle(task, task_name, state, now)
            rewrites = _rewrites(self._stream())
            ends = state.closed and task is None
            if rewrites:
                is_due = state.closed or now - self._drawn.get(key, -REDRAW_SECONDS) >= REDRAW_SECONDS
            else:
                is_due = ends or now - self._drawn.setdefault(key, now) >= LOG_SECONDS
            if not is_due:
                self._late[key] = None
            elif rewrites:
                self._rewrite(key, now, ends=ends)
            else:
                self._log(key, now)

    def interrupt(self) -> None:
        """Something else is about to be printed: the unfinished line makes room, and comes back when it moves."""
        with self._lock:
            if self._on_line:
                self._stream().write(_ERASE if self._stream().isatty() else "\r" + " " * self._length + "\r")
                self._stream().flush()
                self._on_line, self._length = "", 0

    def finish(self) -> None:
        """Say what has not been said, and end the line; the end of the process, or of its cluster."""
        with self._lock:
            for key in list(self._late):
                if _rewrites(self._stream()):
                    self._rewrite(key, self._clock(), ends=True)
                else:
                    self._log(key, self._clock())
            if self._on_line:
                self._write("\n")
            self._on_line, self._length = "", 0
            self._board, self._drawn = Board(), {}

    def _rewrite(self, key: str, now: float, *, ends: bool) -> None:
        line = self._board.line(key)
        said = "" if line is None else text(line)
        if self._on_line and self._on_line != key:
            previous = self._board.line(self._on_line)
            if previous is not None and not previous.open:
                self._write("\n")
                self._length = 0
        self._write("\r" + said.ljust(self._length) + ("\n" if ends and said else ""))
        self._on_line, self._length = ("", 0) if ends else (key, len(said))
        self._note(key, now, gone=ends or line is None)

    def _log(self, key: str, now: float) -> None:
        line = self._board.line(key)
        if line is not None:
            self._write(text(line) + "\n")
        self._note(key, now, gone=line is None)

    def _note(self, key: str, now: float, *, gone: bool) -> None:
        self._late.pop(key, None)
        if gone:
            self._drawn.pop(key, None)
        else:
            self._drawn[key] = now

    def _write(self, piece: str) -> None:
        self._stream().write(piece)
        self._stream().flush()


def _rewrites(stream: TextIO) -> bool:
    """Whether a carriage return does what it should: on terminals, and in notebooks."""
    return stream.isatty() or type(stream).__module__.startswith("ipykernel")


BARS = TerminalBars(lambda: sys.stderr)
"""Those of this process; the end of its session finishes them."""

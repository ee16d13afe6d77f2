"""The workers' logs as the scheduler process reads them: what C code and child processes print, task by task.

A worker reports the length of its log with each task that wrote to it; until that length the bytes belong to the task. While
a task runs, what has come so far is read too, so that it shows live.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

from nbray.engine import descriptors
from nbray.ids import NO_TASK, TaskId
from nbray.scheduler.messages import SKIPPED

CHUNK_BYTES = 64 * 1024
TAIL_LINES = 20
TAIL_BYTES = 4096
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
_KEEP_SIZE_PUNCH_HOLE = 0x01 | 0x02

Punch = Callable[[int, int, int], None]
"""Gives back a range of a file: its descriptor, where the range begins, its bytes."""


class WorkerLog:
    """The log of one worker, read forward once; the middle of an overlong one is given back to the disk."""

    def __init__(self, path: Path, keep: int, punch: Punch | None = None) -> None:
        self._path = path
        self._keep = keep
        self._punch = punch or punch_hole
        self._descriptor = -1
        """Less than 0 until the process may open one more file."""
        self._position = self._length()
        self._begin = self._position
        self._punched = self._position
        self._seen = self._position
        self._task = NO_TASK
        self._sent = 0

    @property
    def position(self) -> int:
        """How far it has been read."""
        return self._position

    def read(self, task_id: TaskId, end: int | None, limit: int) -> Iterator[tuple[str, bytes]]:
        """The task's bytes up to `end` (None: all there are) as stream and data; beyond `limit` bytes a task only their count."""
        if task_id != self._task:
            self._task, self._sent = task_id, 0
        length = self._length()
        target = length if end is None else min(end, length)
        while self._position < target:
            size = min(CHUNK_BYTES, target - self._position)
            if self._sent > limit:
                size = target - self._position
                yield SKIPPED, str(size).encode()
            else:
                data = os.pread(self._descriptor, size, self._position)
                if end is None or self._position + size < end:  # the rest of the last character comes later
                    data = data[: _whole_characters(data)]
                if not data:
                    break
                yield "stdout", data
                size = len(data)
            self._sent += size
            self._position += size
        self._bound()

    def _bound(self) -> None:
        """Keep the first and the last half of what may be kept; punch the middle out."""
        head, tail = self._begin + self._keep // 2, self._position - self._keep // 2
        start = max(head, self._punched)
        if tail - start > self._keep // 2:
            self._punch(self._descriptor, start, tail - start)
            self._punched = tail

    def tail(self) -> str:
        """Its last lines, since this worker began."""
        end = self._length()
        start = max(self._begin, end - TAIL_BYTES)
        if start == end:
            return ""
        text = os.pread(self._descriptor, end - start, start).decode("utf-8", "replace")
        return "\n".join(text.splitlines()[-TAIL_LINES:])

    def begin_worker(self) -> None:
        """A new worker writes to this log from here on."""
        self._begin = self._position = self._seen = self._length()
        self._task, self._sent = NO_TASK, 0

    def settled_end(self) -> int:
        """The log's length at the last call: prints of Python that came before its end have been sent since.

        Reading to the very end would put what C code wrote in front of prints, or in the middle of a line.
        """
        end, self._seen = self._seen, self._length()
        return end

    def _length(self) -> int:
        """How long the file is; 0 as long as it cannot be opened."""
        if self._descriptor < 0:
            try:
                self._descriptor = os.open(self._path, _FLAGS, 0o600)
            except OSError as error:
                if not descriptors.are_short(error):
                    raise
                return 0
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """Close the file; it stays until the run directory goes."""
        if self._descriptor >= 0:
            os.close(self._descriptor)


def _whole_characters(data: bytes) -> int:
    """How many bytes come before a character of UTF-8 that is not complete."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return len(data) - back if length > back else len(data)
    return len(data)


def punch_hole(descriptor: int, offset: int, size: int) -> None:
    """Give the blocks of a range of a file back, where the system can; elsewhere they stay."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        with contextlib.suppress(OSError):
            libc.fallocate(descriptor, _KEEP_SIZE_PUNCH_HOLE, ctypes.c_long(offset), ctypes.c_long(size))


class Puncher:
    """Punches holes on a thread of its own, which starts with the first one.

    To free the blocks of what eight workers write in a tenth of a second takes the system up to a quarter of a second.
    """

    def __init__(self) -> None:
        self._holes: SimpleQueue[tuple[int, int, int] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def punch(self, descriptor: int, offset: int, size: int) -> None:
        """Give the range back, in time; the file may be closed meanwhile."""
        try:
            own = os.dup(descriptor)
        except OSError as error:
            if not descriptors.are_short(error):
                raise
            punch_hole(descriptor, offset, size)  # here and now: the log must not grow on
            return
        self._holes.put((own, offset, size))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="nbray-punch", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Punch what was asked for, and end the thread."""
        if self._thread is not None:
            self._holes.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (hole := self._holes.get()) is not None:
            punch_hole(*hole)
            os.close(hole[0])

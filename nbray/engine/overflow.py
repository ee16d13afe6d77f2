"""What a task prints beyond what its cell shows: it goes to the worker's log, and the worker itself keeps that from growing.

The scheduler process gives the middle of an overlong log back too, whoever wrote it. But eight workers write faster than it
would come to that, and gigabytes of a run directory are memory. So who floods the log waits for its own hole to be punched.
"""

from __future__ import annotations

import contextlib
import os
import threading

from nbray.engine.worker_logs import punch_hole
from nbray.ids import NO_TASK, TaskId

KEPT = 16 * 1024 * 1024
"""Of one task: half of it from where its overflow begins, half at the end. The scheduler process reads the beginning alone."""


class Overflow:
    """Writes to the descriptor of a log; any thread."""

    def __init__(self, log: int, kept: int = KEPT) -> None:
        self._log = log
        self._kept = kept
        self._lock = threading.RLock()
        """Reentrant: a finalizer that prints may run while this very thread holds it."""
        self._task = NO_TASK
        self._begin = self._punched = self._since = 0
        """Where this task's overflow begins, up to where its middle is given back, bytes since that was looked at."""

    def after_fork(self) -> None:
        """No thread of the parent's holds the lock here."""
        self._lock = threading.RLock()

    def write(self, task_id: TaskId, data: bytes | memoryview) -> None:
        """Write all; a disk that is full ends the log and not the task that prints."""
        with self._lock, contextlib.suppress(OSError):
            if task_id != self._task or not self._begin:
                self._task = task_id
                self._begin = self._punched = os.lseek(self._log, 0, os.SEEK_END)
            view = memoryview(data)
            while view:
                view = view[os.write(self._log, view) :]
            self._since += len(data)
            if self._since >= self._kept // 4:
                self._since = 0
                self._bound(os.lseek(self._log, 0, os.SEEK_END))

    def _bound(self, end: int) -> None:
        start, tail = max(self._begin + self._kept // 2, self._punched), end - self._kept // 2
        if tail - start >= self._kept // 4:
            punch_hole(self._log, start, tail - start)
            self._punched = tail

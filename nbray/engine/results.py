"""Results of ended tasks until they leave for the scheduler: together, but none waits for a task that turns out long.

Nor is one lost with a worker that the next task takes down: until they have left they stand in memory that outlives it.
"""

from __future__ import annotations

import threading
import time

from nbray.engine.connection import Connection
from nbray.engine.interrupts import InterruptShield
from nbray.engine.unsent import UnsentResults
from nbray.ids import ObjectId
from nbray.scheduler.messages import Finished, TaskResult

FLUSH_SECONDS = 0.002


class Results:
    """Any thread adds; whoever comes first flushes."""

    def __init__(self, connection: Connection, unsent: UnsentResults) -> None:
        self._connection = connection
        self._unsent = unsent
        self._waiting: list[TaskResult] = []
        self._since = 0.0
        self._carried: list[ObjectId] = []
        """References inside `_waiting`: held until these have left, or the release of the task's own would overtake them."""
        self._lock = threading.RLock()
        self._leaving = False
        """A flush inside, by a finalizer that submits a task, has nothing to do."""
        self._shield = InterruptShield()
        """Results leave exactly once, also when the task that waits in `get` is cancelled just then."""

    def add(self, result: TaskResult, carried: list[ObjectId], *, hurry: bool) -> None:
        """One more; it leaves at once in a hurry, else within some milliseconds. `carried` is emptied."""
        now = time.monotonic()
        with self._lock:
            self._waiting.append(result)
            self._carried += carried
            carried.clear()
            first = len(self._waiting) == 1
            if first:
                self._since = now
            hurry = hurry or not self._unsent.add(result)
        if hurry or now - self._since > FLUSH_SECONDS:
            self.flush()
        elif first:
            # If the next task turns out long, the I/O thread must not let this result wait for it.
            self._connection.io.call_at(now + 2 * FLUSH_SECONDS, self.flush)

    def flush(self, log_end: int = 0) -> None:
        """Send all that waits; `log_end` is how long the log is now, when these tasks have written to it."""
        with self._lock:
            if self._waiting and not self._leaving:
                try:
                    self._leaving = True
                    with self._shield:
                        self._send(log_end)
                finally:
                    self._leaving = False

    def _send(self, log_end: int) -> None:
        waiting, self._waiting = self._waiting, []
        carried, self._carried = self._carried, []
        if log_end:
            waiting[-1].log_end = log_end
        self._connection.post(Finished(waiting), now=True)
        if self._connection.sender.all_sent:
            self._unsent.clear()
        for object_id in carried:
            self._connection.release(object_id)

"""The thread on which callers hear of objects that have come to exist: one for many, gone while there is nothing to say."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from nbray.backends.backend import Backend
from nbray.engine import task_context
from nbray.engine.io_thread import call_reporting
from nbray.engine.task_context import TaskContext
from nbray.ids import ObjectId

LINGER_SECONDS = 0.2
"""How long the thread stays when nothing is left to say: the next often follows at once."""

Callback = Callable[[], None]


class Completions:
    """Calls back when objects exist, in the order in which they come; any thread may use it.

    The backend itself calls back on its I/O thread, which must not block; these callbacks may unpickle, run the user's
    code and wait for tasks. One that never returns holds up those behind it. In a worker each works for the task for which
    it was asked for.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._arrived: SimpleQueue[tuple[TaskContext | None, Callback]] = SimpleQueue()
        self._lock = threading.RLock()
        """Held while something is put in and while the thread decides to end; reentrant for finalizers."""
        self._runs = False

    def expect(self, backend: Backend, object_id: ObjectId, callback: Callback) -> None:
        """Call back once the object exists or its cluster is gone; the caller holds the object until then."""
        backend.on_ready(object_id, functools.partial(self.call_soon, callback, task_context.current()))

    def call_soon(self, callback: Callback, context: TaskContext | None) -> None:
        """Call back at once, on the thread, in that context."""
        with self._lock:
            self._arrived.put((context, callback))
            starts, self._runs = not self._runs, True
        if starts:
            try:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            except RuntimeError:  # the interpreter ends, or the system has no thread left: the next call tries again
                self._runs = False

    def _run(self) -> None:
        while True:
            try:
                context, callback = self._arrived.get(timeout=LINGER_SECONDS)
            except Empty:
                if self._may_end():
                    return
                continue
            task_context.enter(context)
            call_reporting(callback)
            del callback  # it holds a value, and the next may be long in coming

    def _may_end(self) -> bool:
        with self._lock:
            self._runs = not self._arrived.empty()
            return not self._runs

"""The thread on which callers hear of objects that have come to exist: one for many, there only while some are expected."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from nbray.backends.backend import Backend
from nbray.engine.io_thread import call_reporting
from nbray.ids import ObjectId

LINGER_SECONDS = 0.2
"""How long the thread stays when nothing is expected any more: the next call often follows at once."""

Callback = Callable[[], None]


class Completions:
    """Calls back when objects exist, in the order in which they come; any thread may use it.

    The backend itself calls back on its I/O thread, which must not block; these callbacks may unpickle, run the user's
    code and wait for tasks. One that never returns holds up those behind it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._arrived: SimpleQueue[Callback] = SimpleQueue()
        self._lock = threading.Lock()
        self._expected = 0
        """Callbacks that have not returned; under the lock."""
        self._runs = False

    def expect(self, backend: Backend, object_id: ObjectId, callback: Callback) -> None:
        """Call back once the object exists or its cluster is gone; the caller holds the object until then."""
        self._begin()
        backend.on_ready(object_id, functools.partial(self._arrived.put, callback))

    def call_soon(self, callback: Callback) -> None:
        """Call back at once, on the thread."""
        self._begin()
        self._arrived.put(callback)

    def _begin(self) -> None:
        with self._lock:
            self._expected += 1
            starts, self._runs = not self._runs, True
        if starts:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                callback = self._arrived.get(timeout=None if self._expected else LINGER_SECONDS)
            except Empty:
                if self._may_end():
                    return
                continue
            call_reporting(callback)
            del callback  # it holds a value, and the next may be long in coming
            with self._lock:
                self._expected -= 1

    def _may_end(self) -> bool:
        with self._lock:
            if not self._expected:
                self._runs = False
            return not self._runs

"""Watches: which of many objects have come since somebody last looked, without looking at each of them again.

As with streams, the state "something has come" has an id of its own, which is waited for like an object.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Iterable

from nbray.engine.io_thread import call_reporting
from nbray.engine.values import Callback, Values
from nbray.ids import ObjectId

_numbers = itertools.count(1)
_ARRIVED = b""


class Watch:
    """Looks out for objects that this process holds, until it is closed; any thread."""

    def __init__(self, lock: threading.RLock, values: Values, ask_for: Callable[[list[ObjectId]], object]) -> None:
        self.signal = ObjectId(-next(_numbers))
        """Stands for the arrival of any of them; no object has a negative id, and streams use larger ones."""
        self._lock = lock
        self._values = values
        self._ask_for = ask_for
        self._arrived: list[ObjectId] = []
        self._callbacks: dict[ObjectId, Callback] = {}
        values.expect((self.signal,))

    def add(self, object_ids: Iterable[ObjectId]) -> None:
        """Look out for these too; each of them once."""
        missing: list[ObjectId] = []
        with self._lock:
            known = self._values.known
            for object_id in object_ids:
                if object_id in known:
                    self._arrived.append(object_id)
                else:
                    callback = self._callbacks[object_id] = functools.partial(self._arrive, object_id)
                    self._values.call_back(object_id, callback)
                    missing.append(object_id)
            woken = self._wake() if self._arrived else []
        self._ask_for(missing)
        for call in woken:
            call_reporting(call)

    def take(self) -> list[ObjectId]:
        """Those that have come since the last time."""
        with self._lock:
            arrived, self._arrived = self._arrived, []
            if self._values.known.pop(self.signal, None) is not None:
                self._values.expect((self.signal,))
        return arrived

    def close(self) -> None:
        """Look out no more."""
        with self._lock:
            self._values.forget_callbacks(self._callbacks)
            self._callbacks.clear()
            self._values.forget((self.signal,))

    def _arrive(self, object_id: ObjectId) -> None:
        """One has come, or the connection is lost, which has woken everybody already."""
        with self._lock:
            if self._callbacks.pop(object_id, None) is None or object_id not in self._values.known:
                return
            self._arrived.append(object_id)
            woken = self._wake()
        for call in woken:
            call_reporting(call)

    def _wake(self) -> list[Callback]:
        return [] if self.signal in self._values.known else self._values.learn(self.signal, _ARRIVED)

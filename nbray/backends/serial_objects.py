"""The objects of the serial backend: copies of values, errors with their tracebacks, and who still refers to them."""

from __future__ import annotations

import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from nbray import dual_errors, exceptions_shipping, serialization
from nbray.errors import ObjectLost
from nbray.exceptions_shipping import DumpedException
from nbray.ids import ObjectId, ProcessId, object_id
from nbray.serialization import Payload

FRESH_ERRORS = 8
"""So many errors that nobody has asked for keep their frames."""


class Stored(NamedTuple):
    """A pickled value, and the objects that it refers to."""

    frame: bytes
    nested: list[ObjectId]


class Failed:
    """An error of a task, with the real frames that it came from until somebody has them.

    Frames hold all that their functions and those of the callers have in variables: kept for good, they would keep themselves
    alive, refs and all. So the first `get` is given them, for `%debug`; later ones, and those of errors that nobody has
    asked for in a while, have the traceback as text.
    """

    __slots__ = ("_dumped", "error", "note")

    def __init__(self, error: BaseException, note: str = "") -> None:
        self.error = error
        self.note = note
        """In which task; empty for what is no task's own error."""
        self._dumped: DumpedException | None = None

    def raised(self) -> BaseException:
        """What `get` raises."""
        if not self.note:
            fresh = type(self.error)(*self.error.args)
            fresh.__cause__ = self.error.__cause__
            return fresh
        if self._dumped is None and isinstance(self.error, Exception):
            fresh, traceback = self.error, self.error.__traceback__
            self.forget_frames()
            fresh = dual_errors.as_remote(fresh).with_traceback(traceback)
        else:
            self.forget_frames()
            fresh = dual_errors.as_remote(self.error)
        exceptions_shipping.add_note(fresh, self.note)
        return fresh

    def forget_frames(self) -> None:
        """Keep the text of the traceback alone."""
        if not self.note:
            return
        if self._dumped is None:
            self._dumped = exceptions_shipping.dump_exception(self.error)
        if not isinstance(self.error, Exception):  # a task's sys.exit must not end the notebook
            self._dumped = self._dumped._replace(pickled=b"")
        self.error = exceptions_shipping.load_exception(*self._dumped)


class SerialObjects:
    """All objects of this process; any thread, since references are dropped on any."""

    def __init__(self) -> None:
        self._values: dict[ObjectId, Stored | Failed] = {}
        self._counts: Counter[ObjectId] = Counter()
        self._with_frames: deque[Failed] = deque(maxlen=FRESH_ERRORS)
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self.when_gone: dict[ObjectId, Callable[[], None]] = {}
        """What to do when the last reference to an object is gone."""

    def new_id(self) -> ObjectId:
        """A fresh id, without a reference."""
        return object_id(ProcessId(1), next(self._numbers))

    def store(self, payload: Payload) -> ObjectId:
        """Keep a value; the caller holds one reference."""
        new = self.new_id()
        self.hold(new)
        self.settle(new, payload)
        return new

    def settle(self, object_id: ObjectId, outcome: Payload | Failed) -> None:
        """The object has its value or its error from now on, if anybody still wants it."""
        with self._lock:
            if not self._counts[object_id]:
                return
            if isinstance(outcome, Failed):
                self._values[object_id] = outcome
                if len(self._with_frames) == FRESH_ERRORS and outcome not in self._with_frames:
                    self._with_frames[0].forget_frames()
                self._with_frames.append(outcome)
                return
            self._values[object_id] = Stored(serialization.encode(outcome), outcome.nested)
            for each in outcome.nested:
                self._counts[each] += 1

    def hold(self, object_id: ObjectId) -> None:
        """One more reference."""
        with self._lock:
            self._counts[object_id] += 1

    def release(self, object_ids: Iterable[ObjectId]) -> None:
        """One reference less to each; a loop, since chains of objects may be long."""
        doomed, gone = list(object_ids), []
        with self._lock:
            while doomed:
                object_id = doomed.pop()
                self._counts[object_id] -= 1
                if self._counts[object_id] <= 0:
                    del self._counts[object_id]
                    gone.append(object_id)
                    value = self._values.pop(object_id, None)
                    if isinstance(value, Stored):
                        doomed += value.nested
        for object_id in gone if self.when_gone else ():
            self.when_gone.pop(object_id, lambda: None)()

    def __contains__(self, object_id: ObjectId) -> bool:
        return object_id in self._values

    def error(self, object_ids: Sequence[ObjectId]) -> Failed | None:
        """The first of their errors."""
        found = map(self._values.get, object_ids)
        return next((each for each in found if isinstance(each, Failed)), None)

    def value(self, object_id: ObjectId) -> Any:
        """A fresh copy of the value, or its error raised. Raises ObjectLost."""
        value = self._values.get(object_id)
        if isinstance(value, Failed):
            raise value.raised()
        if value is None:
            raise ObjectLost(f"Object {object_id:#x} is not there any more: nobody held a reference to it")
        return serialization.loads(value.frame)

    def state(self, object_id: ObjectId) -> str:
        """See `Backend.state`."""
        value = self._values.get(object_id)
        return "pending" if value is None else "failed" if isinstance(value, Failed) else "ready"

    def size(self, object_id: ObjectId) -> int | None:
        """See `Backend.size`."""
        value = self._values.get(object_id)
        return len(value.frame) if isinstance(value, Stored) else None

    def table(self) -> list[tuple[ObjectId, str, int, int]]:
        """Id, state, size and references of each object."""
        with self._lock:
            return [(each, self.state(each), self.size(each) or 0, self._counts[each]) for each in self._values]

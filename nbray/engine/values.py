"""What a process knows of objects' values, and who waits for them; every method runs under the connection's lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from nbray.ids import ObjectId
from nbray.scheduler.messages import Failure, Spilled, Stored, Value

Callback = Callable[[], None]


class Waiter:
    """One blocked call: woken when enough of its objects exist, when one has failed, or when the connection is lost."""

    __slots__ = ("_lock", "done", "missing", "wake_on_failure")

    def __init__(self, missing: int, *, wake_on_failure: bool) -> None:
        self.missing = missing
        self.wake_on_failure = wake_on_failure
        self.done = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def wake(self) -> None:
        """End the wait; the caller holds the connection's lock, so this happens once."""
        if not self.done:
            self.done = True
            self._lock.release()

    def sleep(self, seconds: float) -> None:
        """Sleep for so long at most; KeyboardInterrupt comes through at once."""
        if self._lock.acquire(timeout=seconds):
            self._lock.release()


class Values:
    """Values by object id, ids whose values are on their way, and the waiters of each id."""

    def __init__(self) -> None:
        self.known: dict[ObjectId, Value] = {}
        self._expected: set[ObjectId] = set()
        self._waiters: dict[ObjectId, list[Waiter]] = {}
        self._callbacks: dict[ObjectId, list[Callback]] = {}

    def expect(self, object_ids: Iterable[ObjectId]) -> None:
        """The scheduler will push these."""
        self._expected.update(object_ids)

    def unexpected(self, object_ids: Iterable[ObjectId]) -> list[ObjectId]:
        """Which of them nobody has asked the scheduler for yet."""
        return [object_id for object_id in object_ids if object_id not in self._expected and object_id not in self.known]

    def learn(self, object_id: ObjectId, value: Value) -> list[Callback]:
        """A value has come: wake who waits for it, and return the callbacks that the caller must run without the lock."""
        self.known[object_id] = value
        self._expected.discard(object_id)
        waiters = self._waiters.pop(object_id, None)
        if waiters is not None:
            failed = type(value) is Failure
            for waiter in waiters:
                waiter.missing -= 1
                if waiter.missing <= 0 or (failed and waiter.wake_on_failure):
                    waiter.wake()
        return self._callbacks.pop(object_id, []) if self._callbacks else []

    def wait_for(self, missing: Sequence[ObjectId], needed: int, *, wake_on_failure: bool) -> Waiter:
        """A waiter that wakes when `needed` of the `missing` objects have come; `forget_waiter` it in the end."""
        waiter = Waiter(needed, wake_on_failure=wake_on_failure)
        for object_id in missing:
            self._waiters.setdefault(object_id, []).append(waiter)
        return waiter

    def forget_waiter(self, waiter: Waiter, object_ids: Iterable[ObjectId]) -> None:
        """Take a waiter out again where it still stands."""
        for object_id in object_ids:
            waiters = self._waiters.get(object_id)
            if waiters is not None and waiter in waiters:
                waiters.remove(waiter)
                if not waiters:
                    del self._waiters[object_id]

    def call_back(self, object_id: ObjectId, callback: Callback) -> bool:
        """Keep `callback` until the value comes; False when it is there already."""
        if object_id in self.known:
            return False
        self._callbacks.setdefault(object_id, []).append(callback)
        return True

    def let_go(self, object_ids: Iterable[ObjectId], reading: Callable[[], set[ObjectId]]) -> list[ObjectId]:
        """Forget where these objects are, but for those that `reading` says are read just now; returns these.

        It is asked when the others cannot be found any more. Who reads says so first and then looks whether the object is
        still where it was: one of the two sees the other.
        """
        places = {object_id: value for object_id in object_ids if type(value := self.known.get(object_id)) is Stored}
        for object_id, place in places.items():
            self.known[object_id] = Spilled(place.size, place.nested)
        read = reading()
        in_use = [object_id for object_id in object_ids if object_id in read]
        for object_id in in_use:
            if object_id in places:
                self.known[object_id] = places[object_id]
        return in_use

    def forget_callbacks(self, callbacks: Mapping[ObjectId, Callback]) -> None:
        """These are not to be called any more."""
        for object_id, callback in callbacks.items():
            waiting = self._callbacks.get(object_id)
            if waiting is not None and callback in waiting:
                waiting.remove(callback)
                if not waiting:
                    del self._callbacks[object_id]

    def forget(self, object_ids: Iterable[ObjectId]) -> None:
        """This process has no reference left: the values go."""
        for object_id in object_ids:
            self.known.pop(object_id, None)
            self._expected.discard(object_id)

    def abandon(self) -> list[Callback]:
        """The connection is lost: wake everybody and return all callbacks."""
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.wake()
        self._waiters.clear()
        callbacks = [callback for waiting in self._callbacks.values() for callback in waiting]
        self._callbacks.clear()
        return callbacks

"""`wait` and `as_completed`: which of many refs are ready, without looking at all of them each time.

The usual loop, `ready, rest = wait(rest)`, asks again and again about nearly the same refs. So the refs that are not ready
are remembered for a moment, with a watch over them: the next call compares its list with them at the speed of C, and then
only looks at what has come. Whoever waits for anything else, or later, is served by a look at every ref.
"""

from __future__ import annotations

import heapq
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar

from nbray import session
from nbray.backends.backend import Backend, Watch
from nbray.engine.hosted_actor import this_process
from nbray.errors import GetTimeoutError, UsageError, WrongType
from nbray.ids import ObjectId
from nbray.objects import ObjectRef, Stream, backend_of, check_timeout, refuse_value, too_late

WORTH_WATCHING = 64
"""Shorter lists are looked through each time."""
REMEMBERED_SECONDS = 0.05
"""So long after a call the refs that were not ready are remembered, and kept alive."""

Waitable = TypeVar("Waitable", ObjectRef, Stream, ObjectRef | Stream)


def wait(
    refs: Sequence[Waitable], num_returns: int = 1, timeout: float | None = None, *, fetch_local: bool = True
) -> tuple[list[Waitable], list[Waitable]]:
    """Wait until `num_returns` of the values exist, or `timeout` seconds; returns (ready, not ready).

    A failed task counts as ready, a generator is while it has another ref. Both lists keep the order of `refs`, and `ready`
    has at most `num_returns`. `fetch_local` is there for Ray's sake: on one machine every value is local.

    >>> import nbray
    >>> one, two = nbray.put(1), nbray.put(2)
    >>> ready, rest = nbray.wait([one, two])
    >>> ready == [one], rest == [two]
    (True, True)
    """
    check_timeout(timeout)
    if this_process.runs_loop:
        this_process.refuse_to_block("wait", timeout)
    if isinstance(refs, (ObjectRef, Stream)) or not isinstance(refs, (list, tuple)):
        _refuse_sequence("wait", refs)
    if not refs:
        return [], []
    if len(refs) < WORTH_WATCHING:
        return _look_through(refs, num_returns, timeout)
    return _memory.wait(refs, num_returns, timeout)


def _look_through(
    refs: Sequence[Waitable], num_returns: int, timeout: float | None
) -> tuple[list[Waitable], list[Waitable]]:
    """Wait, looking at each ref."""
    ids = _checked_ids(refs)
    _check_count(num_returns, len(ids))
    ready_ids = backend_of(*refs).wait(ids, num_returns, timeout)
    ready: list[Waitable] = []
    rest: list[Waitable] = []
    for ref in refs:
        (ready if len(ready) < num_returns and ref.id in ready_ids else rest).append(ref)
    return ready, rest


def _checked_ids(refs: Sequence[Waitable]) -> list[ObjectId]:
    for kind in set(map(type, refs)):
        if not issubclass(kind, (ObjectRef, Stream)):
            refuse_value("wait", next(ref for ref in refs if type(ref) is kind))
    ids = [ref.id for ref in refs]
    if len(set(ids)) < len(ids):
        ref, count = Counter(refs).most_common(1)[0]
        raise UsageError(f"nbray.wait() takes each ref once, and {ref!r} is there {count} times: write list(set(refs))")
    return ids


def _check_count(num_returns: int, most: int) -> None:
    if not isinstance(num_returns, int) or isinstance(num_returns, bool) or not 1 <= num_returns <= most:
        raise UsageError(f"num_returns={num_returns!r}: expected a whole number from 1 to {most}, the number of refs")


def _refuse_sequence(verb: str, refs: Any) -> NoReturn:
    if isinstance(refs, (ObjectRef, Stream)):
        raise WrongType(f"nbray.{verb}() takes a list of refs, not a single one: write nbray.{verb}([ref])")
    refuse_value(verb, refs)


# -------------------------------------------------------------------- the same refs again and again


class _Watched:
    """A list of refs under watch; each has a place that stays its own while others leave."""

    __slots__ = ("_arrived", "_place_of", "_places", "_watch", "backend", "epoch", "refs")

    def __init__(self, refs: Sequence[Any], backend: Backend, watch: Watch) -> None:
        self.backend = backend
        self.epoch = backend.epoch
        self.refs: list[Any] = []
        self._places: list[int] = []
        """Of `refs`, ascending."""
        self._place_of: dict[ObjectId, int] = {}
        self._arrived: list[int] = []
        """A heap of the places whose objects have come."""
        self._watch = watch
        self.add(refs)

    def fits(self, refs: Sequence[Any]) -> bool:
        """Whether these are the same refs, perhaps with others behind them."""
        known = self.refs
        same = refs if len(refs) == len(known) else refs[: len(known)]
        return session.current.backend is self.backend and (same == known or list(same) == known)

    def add(self, refs: Sequence[Any]) -> None:
        """More of them; they must be new."""
        first = self._places[-1] + 1 if self._places else 0
        ids = [ref.id for ref in refs]
        self._place_of.update(zip(ids, range(first, first + len(ids)), strict=True))
        self._places.extend(range(first, first + len(ids)))
        self.refs.extend(refs)
        self._watch.add(ids)

    def has(self, refs: Iterable[Any]) -> bool:
        """Whether one of them is under watch."""
        return any(ref.id in self._place_of for ref in refs)

    def wait(self, num_returns: int, timeout: float | None) -> None:
        """Wait until so many have come."""
        deadline = None if timeout is None else time.monotonic() + timeout
        self._look()
        if len(self._arrived) >= num_returns:
            self.backend.settle()
        while len(self._arrived) < num_returns:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self.backend.wait((self._watch.signal,), 1, left):
                break
            self._look()

    def _look(self) -> None:
        for object_id in self._watch.take():
            heapq.heappush(self._arrived, self._place_of[object_id])

    def take(self, most: int) -> tuple[list[Any], list[Any]]:
        """The first of those that have come, which are under watch no longer, and a fresh list of the others."""
        refs, places, ready = self.refs, self._places, []
        indices = [bisect_left(places, heapq.heappop(self._arrived)) for _ in range(min(most, len(self._arrived)))]
        for index in reversed(indices):
            ref = refs.pop(index)
            del places[index]
            del self._place_of[ref.id]
            ready.append(ref)
        ready.reverse()
        return ready, list(refs)

    def close(self) -> None:
        """Look out no more."""
        self._watch.close()


class _Memory:
    """What the last call of `wait` left; a call that comes soon enough takes it, so no two threads have it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: _Watched | None = None
        self._left = 0
        """How many refs the last call left that was not watched."""
        self._when = 0.0
        self._timer = False

    def wait(self, refs: Sequence[Any], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        """As `nbray.wait` of a long list."""
        watched = self._take(refs)
        if watched is None:
            ready, rest = _look_through(refs, num_returns, timeout)
            self._left, self._when = len(rest), time.monotonic()
            return ready, rest
        try:
            _check_count(num_returns, len(refs))
            watched.wait(num_returns, timeout)
            result = watched.take(num_returns)
        except BaseException:
            watched.close()
            raise
        self._keep(watched)
        return result

    def _take(self, refs: Sequence[Any]) -> _Watched | None:
        """The watched list that these are, or a new one when they look like what the last call left."""
        with self._lock:
            watched, self._watched = self._watched, None
            left, self._left = self._left, 0
        if watched is not None:
            fresh = refs[len(watched.refs) :] if len(refs) > len(watched.refs) else ()
            if watched.fits(refs) and (not fresh or self._may_join(watched, fresh)):
                if fresh:
                    watched.add(fresh)
                return watched
            watched.close()
            return None
        if left and len(refs) >= left and time.monotonic() - self._when < REMEMBERED_SECONDS:
            _checked_ids(refs)
            backend = backend_of(*refs)
            watch = None if any(isinstance(ref, Stream) for ref in refs) else backend.watch()
            return None if watch is None else _Watched(refs, backend, watch)
        return None

    def _may_join(self, watched: _Watched, fresh: Sequence[Any]) -> bool:
        """Whether these are refs that can be watched with the others; what they are instead, a look at each will say."""
        return all(type(ref) is ObjectRef and ref.epoch == watched.epoch for ref in fresh) and (
            len({ref.id for ref in fresh}) == len(fresh) and not watched.has(fresh)
        )

    def _keep(self, watched: _Watched) -> None:
        if len(watched.refs) < WORTH_WATCHING:
            watched.close()
            return
        with self._lock:
            other, self._watched = self._watched, watched
            self._when = time.monotonic()
            starts, self._timer = not self._timer, True
        if other is not None:  # another thread's
            other.close()
        if starts:
            watched.backend.call_later(REMEMBERED_SECONDS, self._forget)

    def _forget(self) -> None:
        """Let go of refs for which nobody has come back."""
        with self._lock:
            watched = self._watched
            again = self._when + REMEMBERED_SECONDS - time.monotonic() if watched is not None else 0.0
            if again <= 0:
                self._watched, self._timer = None, False
        if again > 0 and watched is not None:
            watched.backend.call_later(again, self._forget)
        elif watched is not None:
            watched.close()


_memory = _Memory()


# -------------------------------------------------------------------- one after the other


def as_completed(refs: Iterable[ObjectRef], timeout: float | None = None) -> Iterator[ObjectRef]:
    """The refs, each as soon as its value exists or its task has failed.

    Raises GetTimeoutError where some are missing `timeout` seconds after the first was asked for.

    >>> import nbray
    >>> [nbray.get(ref) for ref in nbray.as_completed([nbray.put(1)])]
    [1]
    """
    check_timeout(timeout)
    if this_process.runs_loop:
        this_process.refuse_to_block("as_completed", timeout)
    if isinstance(refs, (ObjectRef, Stream)) or not isinstance(refs, Iterable):
        _refuse_sequence("as_completed", refs)
    pending = list(refs)
    for ref in pending:
        if not isinstance(ref, ObjectRef):
            refuse_value("as_completed", ref)
    return _completions(pending, timeout)


def _completions(refs: list[ObjectRef], timeout: float | None) -> Iterator[ObjectRef]:
    if not refs:
        return
    deadline = None if timeout is None else time.monotonic() + timeout
    total = len(refs)
    pending: dict[ObjectId, list[ObjectRef]] = {}
    backend = backend_of(*refs)
    for ref in refs:
        pending.setdefault(ref.id, []).append(ref)
    refs.clear()  # whoever drops a ref that was yielded lets its object go
    watch = backend.watch()
    try:
        if watch is not None:
            watch.add(pending)
        while pending:
            backend_of(*next(iter(pending.values())))  # the cluster may have been replaced meanwhile
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            came = backend.wait(list(pending) if watch is None else (watch.signal,), 1, left)
            if not came:
                missing = [ref for refs in pending.values() for ref in refs]
                raise GetTimeoutError(too_late("as_completed", missing, total, timeout))
            for object_id in [each for each in pending if each in came] if watch is None else watch.take():
                yield from pending.pop(object_id)
    finally:
        if watch is not None:
            watch.close()

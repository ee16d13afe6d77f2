"""`ActorPool`: a fixed set of actors that share out a stream of calls."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NoReturn

from nbray.actor_handles import ActorHandle
from nbray.errors import GetTimeoutError, UsageError, WrongType
from nbray.objects import ObjectRef, check_timeout, get
from nbray.waiting import wait

Call = Callable[[ActorHandle, Any], ObjectRef]


class ActorPool:
    """Hands calls to whichever of its actors is free; one call at a time each.

    >>> import nbray
    >>> from nbray.util import ActorPool
    >>> @nbray.remote
    ... class Doubler:
    ...     def double(self, x):
    ...         return 2 * x
    >>> pool = ActorPool([Doubler.remote(), Doubler.remote()])
    >>> list(pool.map(lambda actor, x: actor.double.remote(x), [1, 2, 3]))
    [2, 4, 6]
    """

    def __init__(self, actors: Iterable[ActorHandle]) -> None:
        self._idle: deque[ActorHandle] = deque()
        self._busy: dict[ObjectRef, tuple[int, ActorHandle]] = {}
        """Calls in flight: their number in the order of submission, and who runs them."""
        self._ended: dict[int, ObjectRef] = {}
        """Calls whose results wait to be taken, in the order of their ends."""
        self._waiting: deque[tuple[int, Call, Any]] = deque()
        """Calls for which no actor was free yet."""
        self._submitted = 0
        for actor in actors:
            self.push(actor)

    def map(self, fn: Call, values: Iterable[Any]) -> Iterator[Any]:
        """The results of `fn(actor, value)` in order; all calls are submitted now, and results not taken before are dropped."""
        self._drop_results()
        return self._mapped(fn, values, self.get_next)

    def map_unordered(self, fn: Call, values: Iterable[Any]) -> Iterator[Any]:
        """The same, as they come."""
        self._drop_results()
        return self._mapped(fn, values, self.get_next_unordered)

    def submit(self, fn: Call, value: Any) -> None:
        """Let `fn(actor, value)` submit a call to a free actor, now or as soon as one is."""
        self._waiting.append((self._submitted, fn, value))
        self._submitted += 1
        self._start()

    def has_next(self) -> bool:
        """Whether there are results that were not taken."""
        return bool(self._busy or self._ended or self._waiting)

    def get_next(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:
        """The result of the call that was submitted first of those not taken yet.

        Waits at most `timeout` seconds, then raises TimeoutError; with `ignore_if_timedout` that call is given up then.
        Raises StopIteration when there is none, and the call's exception.
        """
        self._check(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        begun = (number for number, _ in self._busy.values())
        wanted = min([*self._ended, *begun, *(number for number, _, _ in islice(self._waiting, 1))])
        while wanted not in self._ended:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._reap(left):
                self._give_up(wanted if ignore_if_timedout else None, timeout)
        return get(self._ended.pop(wanted))

    def get_next_unordered(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:
        """The result of whichever call ends first; the rest as for `get_next`."""
        self._check(timeout)
        if not self._ended and not self._reap(timeout):
            first = next((number for number, _ in self._busy.values()), None)
            self._give_up(first if ignore_if_timedout else None, timeout)
        return get(self._ended.pop(next(iter(self._ended))))

    def has_free(self) -> bool:
        """Whether an actor is idle and no call waits for it."""
        self._reap(0)
        return bool(self._idle) and not self._waiting

    def pop_idle(self) -> ActorHandle | None:
        """Take an idle actor out of the pool; None when all have something to do."""
        return self._idle.popleft() if self.has_free() else None

    def push(self, actor: ActorHandle) -> None:
        """Add an actor to the pool."""
        if not isinstance(actor, ActorHandle):
            raise WrongType(f"ActorPool takes handles of actors, as Class.remote() returns them, not {actor!r}")
        if actor in self._idle or any(actor == busy for _, busy in self._busy.values()):
            raise UsageError(f"{actor!r} belongs to this ActorPool already: push it once")
        self._idle.append(actor)
        self._start()

    def __repr__(self) -> str:
        return f"ActorPool({len(self._idle)} idle, {len(self._busy)} busy, {len(self._waiting):,} calls waiting)"

    # ---------------------------------------------------------------- inside

    def _mapped(self, fn: Call, values: Iterable[Any], take: Callable[[], Any]) -> Iterator[Any]:
        for value in values:
            self.submit(fn, value)

        def results() -> Iterator[Any]:
            while self.has_next():
                yield take()

        return results()

    def _start(self) -> None:
        """Give waiting calls to idle actors."""
        while self._waiting and self._idle:
            actor, (number, fn, value) = self._idle.popleft(), self._waiting.popleft()
            try:
                ref = fn(actor, value)
                if not isinstance(ref, ObjectRef):
                    raise WrongType(
                        f"the function of an ActorPool returned {ref!r}: expected the ObjectRef of a call, as in "
                        "pool.map(lambda actor, value: actor.method.remote(value), values)"
                    )
            except BaseException:
                self._idle.appendleft(actor)
                raise
            self._busy[ref] = number, actor

    def _reap(self, timeout: float | None) -> bool:
        """Wait for one call to end and take over all that have; their actors go on with what waits. False when none has."""
        if not self._busy:
            return False
        ready, rest = wait(list(self._busy), 1, timeout)
        if ready and rest:
            ready += wait(rest, len(rest), 0)[0]
        for ref in ready:
            number, actor = self._busy.pop(ref)
            self._ended[number] = ref
            self._idle.append(actor)
        self._start()
        return bool(ready)

    def _check(self, timeout: float | None) -> None:
        check_timeout(timeout)
        if not self.has_next():
            raise StopIteration("no more results: submit calls first")
        if not self._busy and not self._ended:
            raise UsageError(f"{len(self._waiting)} calls wait, and this ActorPool has no actors: push(actor) one")

    def _give_up(self, number: int | None, timeout: float | None) -> NoReturn:
        """Nothing came in time; the call of that number is given up, and its actor goes on with the next."""
        for ref, (each, actor) in list(self._busy.items()):
            if each == number:
                del self._busy[ref]
                self._idle.append(actor)
        self._waiting = deque(each for each in self._waiting if each[0] != number)
        self._start()
        within = "while no actor was in the pool" if timeout is None else f"within {timeout:g} s"
        raise GetTimeoutError(f"no result came {within}. The calls go on: ask again, or with another timeout")

    def _drop_results(self) -> None:
        self._idle.extend(actor for _, actor in self._busy.values())
        self._busy.clear()
        self._ended.clear()
        self._waiting.clear()

"""`Queue`: a first-in-first-out queue that tasks, actors and drivers share; it lives in an actor."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from nbray.actor_handles import ActorHandle
from nbray.actors import ActorClass, kill
from nbray.errors import UsageError, WrongType
from nbray.objects import cancel, get
from nbray.waiting import wait

Taken = tuple[Any, ...]
"""What was taken, or nothing: an item may be None."""


class Empty(queue.Empty):
    """There is nothing in the queue."""


class Full(queue.Full):
    """There is no room in the queue."""


class Queue:
    """A queue with the interface of `queue.Queue`; give it to tasks and actors as an argument.

    At most `maxsize` items wait in it, or any number when that is 0. `actor_options` are those of the actor in which it lives,
    such as `{"name": "work", "lifetime": "detached"}`. It ends with its last handle, or by `shutdown`.

    >>> from nbray.util import Queue
    >>> queue = Queue(maxsize=2)
    >>> queue.put("one")
    >>> queue.get(), queue.empty()
    ('one', True)
    """

    def __init__(self, maxsize: int = 0, actor_options: Mapping[str, Any] | None = None) -> None:
        if not isinstance(maxsize, int) or isinstance(maxsize, bool):
            raise WrongType(f"maxsize={maxsize!r}: expected a whole number, or 0 for no limit")
        self.maxsize = maxsize
        self._actor: ActorHandle | None = ActorClass(QueueActor, dict(actor_options or {})).remote(maxsize)

    @property
    def actor(self) -> ActorHandle:
        """The actor in which it lives."""
        if self._actor is None:
            raise UsageError("this Queue was shut down: make a new one")
        return self._actor

    # ---------------------------------------------------------------- how full it is

    def __len__(self) -> int:
        return self.size()

    def size(self) -> int:
        """How many items are in it."""
        return int(get(self.actor.size.remote()))

    qsize = size

    def empty(self) -> bool:
        """Whether there is none; it may be different a moment later."""
        return self.size() == 0

    def full(self) -> bool:
        """Whether there is no room; it may be different a moment later."""
        return 0 < self.maxsize <= self.size()

    # ---------------------------------------------------------------- put

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Add an item; waits for room, at most `timeout` seconds, or not at all without `block`. Raises Full."""
        if not self._ask(self.actor.put.remote(item, _patience(block, timeout))):
            self._refuse_full()

    async def put_async(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """The same for event loops."""
        if not await self._ask_async(self.actor.put.remote(item, _patience(block, timeout))):
            self._refuse_full()

    def put_nowait(self, item: Any) -> None:
        """Add an item if there is room at once. Raises Full."""
        self.put(item, block=False)

    def put_nowait_batch(self, items: Iterable[Any]) -> None:
        """Add all of the items or none. Raises Full."""
        if not isinstance(items, Iterable):
            raise WrongType(f"put_nowait_batch({items!r}): expected a list of items")
        batch = list(items)
        size = self._ask(self.actor.put_batch.remote(batch))
        if size >= 0:
            raise Full(f"{len(batch)} items do not fit: {size} of at most {self.maxsize} are in the queue")

    def _refuse_full(self) -> NoReturn:
        raise Full(f"the queue has {self.maxsize} items, and no room came up: give put() more time, or make maxsize larger")

    # ---------------------------------------------------------------- get

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the oldest item; waits for one, at most `timeout` seconds, or not at all without `block`. Raises Empty."""
        return _only(self._ask(self.actor.get.remote(_patience(block, timeout))))

    async def get_async(self, block: bool = True, timeout: float | None = None) -> Any:
        """The same for event loops."""
        return _only(await self._ask_async(self.actor.get.remote(_patience(block, timeout))))

    def get_nowait(self) -> Any:
        """Take the oldest item if there is one at once. Raises Empty."""
        return self.get(block=False)

    def get_nowait_batch(self, num_items: int) -> list[Any]:
        """Take so many items or none. Raises Empty."""
        if not isinstance(num_items, int) or isinstance(num_items, bool):
            raise WrongType(f"num_items={num_items!r}: expected a whole number")
        if num_items < 0:
            raise UsageError(f"num_items={num_items!r}: expected a whole number >= 0")
        size, items = self._ask(self.actor.get_batch.remote(num_items))
        if len(items) < num_items:
            raise Empty(f"{num_items} items were asked for, and {size} are in the queue")
        return list(items)

    # ---------------------------------------------------------------- its end

    def shutdown(self, force: bool = False, grace_period_s: float = 5) -> None:
        """End the queue; its items are gone. Whoever waits in it has so many seconds to end first, without `force`."""
        actor, self._actor = self._actor, None
        if actor is None:
            return
        if force or not wait([actor.__ray_terminate__.remote()], timeout=grace_period_s)[0]:
            kill(actor)

    def __repr__(self) -> str:
        return f"Queue(maxsize={self.maxsize}{', shut down' if self._actor is None else ''})"

    # ---------------------------------------------------------------- inside

    @staticmethod
    def _ask(ref: Any) -> Any:
        """The answer; a wait that is broken off must not take an item later that nobody gets."""
        try:
            return get(ref)
        except KeyboardInterrupt:
            cancel(ref)
            raise

    @staticmethod
    async def _ask_async(ref: Any) -> Any:
        try:
            return await ref
        except asyncio.CancelledError:
            cancel(ref)
            raise


def _patience(block: bool, timeout: float | None) -> float | None:
    """For how long to wait: None means without end."""
    if not block:
        return 0.0
    if timeout is not None and (not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not timeout >= 0):
        raise UsageError(f"timeout={timeout!r}: expected seconds >= 0, or None to wait without end")
    return timeout


def _only(taken: Taken) -> Any:
    if not taken:
        raise Empty("the queue is empty, and no item came: give get() more time, or put something first")
    return taken[0]


class QueueActor:
    """The items, and who waits for one or for room; runs in an actor, on its event loop."""

    def __init__(self, maxsize: int) -> None:
        self._items: asyncio.Queue[Any] = asyncio.Queue(maxsize)

    async def size(self) -> int:
        """How many items there are."""
        return self._items.qsize()

    async def put(self, item: Any, patience: float | None) -> bool:
        """Add an item once there is room; False when there was none in time."""
        try:
            if patience == 0:
                self._items.put_nowait(item)
            else:
                async with asyncio.timeout(patience):
                    await self._items.put(item)
        except (asyncio.QueueFull, TimeoutError):
            return False
        return True

    async def put_batch(self, items: list[Any]) -> int:
        """Add all and return -1; or none, and return how many there are already."""
        if 0 < self._items.maxsize < self._items.qsize() + len(items):
            return self._items.qsize()
        for item in items:
            self._items.put_nowait(item)
        return -1

    async def get(self, patience: float | None) -> Taken:
        """Take an item once there is one; nothing when there was none in time."""
        try:
            if patience == 0:
                return (self._items.get_nowait(),)
            async with asyncio.timeout(patience):
                return (await self._items.get(),)
        except (asyncio.QueueEmpty, TimeoutError):
            return ()

    async def get_batch(self, count: int) -> tuple[int, list[Any]]:
        """How many there were, and so many of them or none."""
        size = self._items.qsize()
        return size, [self._items.get_nowait() for _ in range(count)] if count <= size else []

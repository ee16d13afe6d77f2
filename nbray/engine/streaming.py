"""Streams that run in this worker: what a generator yields becomes objects of its consumer, in batches, and not too far ahead.

An item leaves at once when the last batch is some time ago, else with the items of the next moment. A generator that is
too far ahead of its consumer pauses, and its CPU is free meanwhile, as in `get`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from nbray import serialization
from nbray.engine.connection import Connection
from nbray.engine.interrupts import InterruptShield
from nbray.engine.object_exchange import ObjectExchange
from nbray.ids import ObjectId, TaskId
from nbray.scheduler.messages import (
    DYNAMIC,
    NO_LIMIT,
    STREAMING,
    Consumed,
    Failure,
    Put,
    Stored,
    Template,
    Value,
    Yielded,
)  # fmt: skip

BATCH_SECONDS = 0.002
BATCH_ITEMS = 512
BATCH_BYTES = 1 << 20
ITEMS_AHEAD = 10_000
BYTES_AHEAD = 64 * 1024 * 1024
STORE_SHARE = 8
"""Items that nobody has taken fill at most this part of the store."""
BRIEF_SECONDS = 0.001
"""A pause that is over so soon is not worth giving the CPU back."""
SLICE_SECONDS = 0.25

Fail = Callable[[BaseException], Failure]


class OutgoingStream:
    """One attempt at one stream; the thread that iterates adds, and any thread flushes or hears of the consumer."""

    def __init__(
        self, connection: Connection, exchange: ObjectExchange, task_id: TaskId, template: Template, bytes_ahead: int
    ) -> None:  # fmt: skip
        self.made = 0
        """Items so far, with those that an earlier attempt had delivered."""
        self._connection = connection
        self._exchange = exchange
        self._task_id = task_id
        self._name = template.name
        self._items_ahead = template.window or ITEMS_AHEAD
        self._bytes_ahead = bytes_ahead if template.window != NO_LIMIT else NO_LIMIT
        self._consumed = 0
        self._sizes: deque[int] = deque()
        """Of the items that have not been taken."""
        self._waiting_bytes = 0
        self._ids: Iterator[int] = iter(())
        self._batch: list[tuple[ObjectId, Value]] = []
        self._batch_bytes = 0
        self._first = 0
        """The index of the batch's first item."""
        self._nested: list[ObjectId] = []
        """References inside the batch: held until it has left, or the release of the generator's own would overtake it."""
        self._last_flush = 0.0
        self._timer = False
        self._lock = threading.Lock()
        self._shield = InterruptShield()
        self._caught_up: Callable[[], object] | None = None
        """Wakes the generator that has paused."""

    # ---------------------------------------------------------------- items

    def add(self, item: Any) -> None:
        """Send the next item, now or soon. Raises NotShippable, StoreFull."""
        if self.made < self._consumed:  # an earlier attempt delivered it
            self.flush()
            self.made += 1
            self._first = self.made
            return
        value: Value | None = serialization.dumps_plain(item)
        if value is None:
            value = self._exchange.pack(item, f"item {self.made} of {self._name}")
        size = len(value) if type(value) is bytes else getattr(value, "size", 0) or len(getattr(value, "data", b""))
        now = time.monotonic()
        with self._lock:
            for object_id in getattr(value, "nested", ()):
                self._connection.references.hold(object_id)
                self._nested.append(object_id)
            self._batch.append((self._next_id(), value))
            self._batch_bytes += 0 if isinstance(value, Stored) else size
            self._sizes.append(size)
            self._waiting_bytes += size
            self.made += 1
            full = len(self._batch) >= BATCH_ITEMS or self._batch_bytes >= BATCH_BYTES
        if full or now - self._last_flush >= BATCH_SECONDS:
            self.flush()
            self._connection.wait_for_room()
        elif not self._timer:
            self._timer = True
            self._connection.io.call_at(now + BATCH_SECONDS, self._flush_later)

    def _next_id(self) -> ObjectId:
        number = next(self._ids, None)
        if number is None:
            first = self._connection.next_object(BATCH_ITEMS)
            self._ids = iter(range(first + 1, first + BATCH_ITEMS))
            number = first
        return ObjectId(number)

    def _flush_later(self) -> None:
        self._timer = False
        self.flush()

    def flush(self) -> None:
        """Send all that was added."""
        with self._lock, self._shield:
            batch = self._batch
            if batch:
                self._batch, self._batch_bytes = [], 0
                self._connection.post(Yielded(self._task_id, self._first, batch), now=True)
                self._first += len(batch)
                self._last_flush = time.monotonic()
                for object_id in self._nested:
                    self._connection.release(object_id)
                self._nested.clear()

    # ---------------------------------------------------------------- the consumer

    @property
    def is_ahead(self) -> bool:
        """Whether the generator should pause."""
        if self._bytes_ahead == NO_LIMIT:
            return False
        return self.made - self._consumed >= self._items_ahead or self._waiting_bytes >= self._bytes_ahead

    def consumed(self, count: int) -> None:
        """The consumer has taken so many items in all, or wants them all whether it takes them or not."""
        with self._lock:
            if count == NO_LIMIT:
                self._bytes_ahead = NO_LIMIT
            while self._sizes and self.made - len(self._sizes) < count:
                self._waiting_bytes -= self._sizes.popleft()
            self._consumed = max(self._consumed, count)
            caught_up = self._caught_up
        if caught_up is not None and not self.is_ahead:
            caught_up()

    def pause(self) -> None:
        """Wait until the consumer has caught up; KeyboardInterrupt comes through."""
        self.flush()
        woken = threading.Event()
        self._caught_up = woken.set
        try:
            if self.is_ahead and not woken.wait(BRIEF_SECONDS):
                with self._connection.on_wait():
                    while self.is_ahead:
                        woken.wait(SLICE_SECONDS)
        finally:
            self._caught_up = None

    async def pause_async(self) -> None:
        """The same on an event loop."""
        import asyncio  # 50 ms that most workers need not pay

        self.flush()
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        self._caught_up = lambda: loop.call_soon_threadsafe(woken.set)
        try:
            with self._connection.on_wait():
                while self.is_ahead:
                    woken.clear()
                    if self.is_ahead:
                        await woken.wait()
        finally:
            self._caught_up = None


class Streaming:
    """What a worker does with the results of generators; any thread."""

    def __init__(self, connection: Connection, exchange: ObjectExchange) -> None:
        self.bundle: Callable[[list[ObjectId]], Any] = list
        """Makes one value of the references to all items; the API above, which knows what a reference is, sets it."""
        self._connection = connection
        self._exchange = exchange
        self._bytes_ahead = min(BYTES_AHEAD, connection.store_limit // STORE_SHARE)
        self._open: dict[TaskId, OutgoingStream] = {}

    def heard(self, message: Consumed) -> None:
        """How far a consumer is."""
        stream = self._open.get(message.task_id)
        if stream is not None:
            stream.consumed(message.count)

    def resolve(self, result: Any, task_id: TaskId, template: Template, fail: Fail) -> Any:
        """Iterate what a function returned: to the consumer, or into one value (`num_returns="dynamic"`) or several.

        Returns what the task's own values are made of. What the generator raises comes out, after the items before it have
        left. `fail` makes the failure that stands for an error in the place of an item.
        """
        if hasattr(result, "__aiter__"):
            import asyncio

            return asyncio.run(self.resolve_async(result, task_id, template, fail))
        items = _checked(result, template)
        try:
            if template.num_returns == STREAMING:
                return self._produce(items, task_id, template)
            if template.num_returns == DYNAMIC:
                return self._collect(items, fail)
            most = template.num_returns + 1 if template.num_returns else None  # without returns it just runs to its end
            return _exactly(list(itertools.islice(items, most)), template)
        finally:
            _close(items)

    async def resolve_async(self, result: Any, task_id: TaskId, template: Template, fail: Fail) -> Any:
        """The same on an event loop, for generators of both kinds."""
        items = result if hasattr(result, "__aiter__") else _each(_checked(result, template))
        try:
            if template.num_returns == STREAMING:
                return await self._produce_async(items, task_id, template)
            if template.num_returns == DYNAMIC:
                return await self._collect_async(items, fail)
            return _exactly([item async for item in items], template)
        finally:
            if hasattr(items, "aclose"):
                await items.aclose()

    def _produce(self, items: Iterable[Any], task_id: TaskId, template: Template) -> None:
        stream = self._begin(task_id, template)
        try:
            for item in items:
                stream.add(item)
                del item  # it may be large, and the next one long in coming
                if stream.is_ahead:
                    stream.pause()
        finally:
            del self._open[task_id]
            stream.flush()

    async def _produce_async(self, items: AsyncIterator[Any], task_id: TaskId, template: Template) -> None:
        stream = self._begin(task_id, template)
        try:
            async for item in items:
                stream.add(item)
                del item
                if stream.is_ahead:
                    await stream.pause_async()
        finally:
            del self._open[task_id]
            stream.flush()

    def _begin(self, task_id: TaskId, template: Template) -> OutgoingStream:
        stream = OutgoingStream(self._connection, self._exchange, task_id, template, self._bytes_ahead)
        self._open[task_id] = stream
        return stream

    def _collect(self, items: Iterator[Any], fail: Fail) -> Any:
        """The references to all items, the last one to the error where the generator raises one."""
        made: list[ObjectId] = []
        try:
            for item in items:
                made.append(self._exchange.put(item))
        except Exception as error:  # noqa: BLE001 - the generator's own, whatever it is, is its last item
            made.append(self._put_failure(fail(error)))
        return self.bundle(made)

    async def _collect_async(self, items: AsyncIterator[Any], fail: Fail) -> Any:
        made: list[ObjectId] = []
        try:
            async for item in items:
                made.append(self._exchange.put(item))
        except Exception as error:  # noqa: BLE001 - as above
            made.append(self._put_failure(fail(error)))
        return self.bundle(made)

    def _put_failure(self, failure: Failure) -> ObjectId:
        object_id = self._connection.next_object()
        self._connection.learn_own(object_id, failure)
        self._connection.post(Put(object_id, failure))
        return object_id


def is_generator(result: Any) -> bool:
    """Whether a result must be iterated to get values."""
    return hasattr(result, "__next__") or hasattr(result, "__aiter__")


def is_stream(result: Any, template: Template) -> bool:
    """Whether what a task returned must be resolved before it is packed."""
    return template.num_returns < 0 or (template.num_returns != 1 and is_generator(result))


def _checked(result: Any, template: Template) -> Iterator[Any]:
    if hasattr(result, "__iter__") and not isinstance(result, (str, bytes, dict)):
        return iter(result)
    wanted = {STREAMING: "'streaming'", DYNAMIC: "'dynamic'"}.get(template.num_returns, template.num_returns)
    raise TypeError(
        f"{template.name} has num_returns={wanted} but returned {type(result).__name__}, which cannot be iterated: yield the "
        "items, or return an iterator of them"
    )


def _exactly(items: list[Any], template: Template) -> Any:
    count = template.num_returns
    if count == 0:
        return ()
    if len(items) != count:
        got = f"only {len(items)}" if len(items) < count else "more"
        raise ValueError(
            f'{template.name} has num_returns={count} but yielded {got} values: write num_returns="streaming" for as many as come'
        )
    return tuple(items) if count != 1 else items[0]


def _close(items: Iterator[Any]) -> None:
    close = getattr(items, "close", None)
    if close is not None:
        close()


async def _each(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item

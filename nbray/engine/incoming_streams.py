"""Streams that this process consumes: the items that have come and nobody has taken, and how far its workers may run ahead.

The arrival of a stream's next item has an id of its own (`next_of`), which is waited for like an object: it is there while
`take` would give an item, and for good once the stream has ended. The scheduler never hears of it.
"""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable

import msgspec

from nbray.engine.io_thread import IoThread, call_reporting
from nbray.engine.references import References
from nbray.engine.values import Callback, Values
from nbray.ids import ObjectId, TaskId
from nbray.scheduler.messages import NO_LIMIT, STREAMING, Cancel, Consumed, Streamed

SAID_EVERY = 256
"""So many items are taken, at most, before their worker hears of it; small windows are told sooner."""
NO_REQUEST = 0
_ARRIVED = b""


def next_of(stream: TaskId) -> ObjectId:
    """The id under which the arrival of the stream's next item, or of its end, is waited for."""
    return ObjectId(-stream)


def returns_of(task_id: TaskId, num_returns: int) -> tuple[list[ObjectId], list[ObjectId]]:
    """The objects that a call makes, and the ids that its caller is given: of a stream, the arrival of its next item too."""
    if num_returns == STREAMING:
        return [task_id], [task_id, next_of(task_id)]
    returns = [task_id] if num_returns < 0 else [ObjectId(task_id + index) for index in range(num_returns)]
    return returns, returns


class _Incoming:
    """One stream."""

    __slots__ = ("every", "items", "on_end", "said", "taken")

    def __init__(self, every: int, on_end: Callback) -> None:
        self.items: deque[ObjectId] = deque()
        self.taken = 0
        self.said = 0
        self.every = every
        self.on_end = on_end


class IncomingStreams:
    """The streams of one connection, whose lock, references and values it shares; any thread."""

    def __init__(
        self, lock: threading.RLock, references: References, values: Values, io: IoThread,
        post: Callable[[msgspec.Struct], None], release: Callable[[ObjectId], None],
    ) -> None:  # fmt: skip
        self._lock = lock
        self._references = references
        self._values = values
        self._io = io
        self._post = post
        self._release = release
        self._streams: dict[TaskId, _Incoming] = {}

    def open(self, stream: TaskId, window: int) -> None:
        """Before the task is submitted: its items will be taken here. `window` is that of its template."""
        every = min(max(1, window // 4), SAID_EVERY) if window > 0 else SAID_EVERY
        incoming = _Incoming(every, functools.partial(self._ended, stream))
        with self._lock:
            self._streams[stream] = incoming
            self._values.expect((next_of(stream),))
            self._values.call_back(stream, incoming.on_end)

    def receive(self, message: Streamed) -> None:
        """The next items have come; on the thread that receives."""
        callbacks: list[Callback] = []
        with self._lock:
            self._references.create([object_id for object_id, _ in message.items])
            incoming = self._streams.get(message.task_id)
            if incoming is None:
                unwanted = message.items
            else:
                unwanted = []
                self._values.known.update(message.items)
                incoming.items.extend([object_id for object_id, _ in message.items])
                callbacks = self._arrived(message.task_id)
        for object_id, _ in unwanted:
            self._release(object_id)
        for callback in callbacks:
            call_reporting(callback)

    def take(self, stream: TaskId) -> ObjectId | None:
        """The next item that has come, whose reference is the caller's from here on; None when there is none."""
        with self._lock:
            incoming = self._streams.get(stream)
            if incoming is None:
                return None
            object_id = incoming.items.popleft() if incoming.items else None
            if object_id is not None:
                incoming.taken += 1
                large = type(self._values.known.get(object_id)) is not bytes
                if not incoming.items:
                    self._exhausted(stream)
            due = incoming.taken - incoming.said
            says = due >= incoming.every or (due > 0 and (object_id is None or large))
            if says:
                incoming.said = incoming.taken
        if says and stream not in self._values.known:
            self._post(Consumed(stream, incoming.taken))
        return object_id

    def run_freely(self, stream: TaskId) -> None:
        """Let the stream run to its end, however far ahead of this process."""
        self._post(Consumed(stream, NO_LIMIT))

    def close(self, stream: TaskId, *, cancel: bool) -> None:
        """Nobody takes items any more; for finalizers: takes no lock."""
        self._io.call_soon(functools.partial(self._close, stream, cancel))

    def _close(self, stream: TaskId, cancel: bool) -> None:
        with self._lock:
            incoming = self._streams.pop(stream, None)
            self._values.forget((next_of(stream),))
            if incoming is not None:
                self._values.forget_callbacks({stream: incoming.on_end})
            cancel = cancel and stream not in self._values.known
        if cancel:
            self._post(Cancel(NO_REQUEST, task_ids=[stream]))
        self._release(stream)
        for object_id in incoming.items if incoming is not None else ():
            self._release(object_id)

    def _ended(self, stream: TaskId) -> None:
        """The task's own object has come, or the connection is lost, which has woken everybody already."""
        with self._lock:
            callbacks = self._arrived(stream) if stream in self._streams and stream in self._values.known else []
        for callback in callbacks:
            call_reporting(callback)

    def _arrived(self, stream: TaskId) -> list[Callback]:
        """Wake who waits for the stream; under the lock."""
        arrival = next_of(stream)
        return [] if arrival in self._values.known else self._values.learn(arrival, _ARRIVED)

    def _exhausted(self, stream: TaskId) -> None:
        """Who asks now waits for another item, unless the stream has ended; under the lock."""
        if stream not in self._values.known:
            arrival = next_of(stream)
            self._values.known.pop(arrival, None)
            self._values.expect((arrival,))

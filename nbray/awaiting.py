"""Waiting for objects in an event loop, which stays free meanwhile and goes on noticing interrupts."""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections import deque
from typing import TYPE_CHECKING

from nbray.backends.backend import Backend
from nbray.ids import ObjectId

if TYPE_CHECKING:
    import asyncio  # 30 ms that most sessions need not pay: who awaits has imported it

HEARTBEAT_SECONDS = 0.1
"""A loop that only waits for objects still wakes this often, so that an interrupt without a signal is seen."""


async def arrival(backend: Backend, object_id: ObjectId) -> None:
    """Wait in the running event loop until the object exists or the cluster is gone."""
    import asyncio

    if backend.state(object_id) != "pending":
        return
    loop = asyncio.get_running_loop()
    waits = _waits.get(loop) or _waits.setdefault(loop, _Waits(loop))
    arrived = loop.create_future()
    waits.begin(backend)
    try:
        backend.on_ready(object_id, functools.partial(waits.call, arrived))
        with backend.waiting():
            await arrived
    finally:
        waits.count -= 1


class _Waits:
    """The waits of one loop: they are woken together, and share the one timer that beats while there are any."""

    __slots__ = ("_arrived", "_backend", "_beats", "_hurries", "_loop", "_woken", "count")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.count = 0
        self._loop = weakref.ref(loop)
        self._backend: Backend | None = None
        self._arrived: deque[asyncio.Future[None]] = deque()
        self._woken = False
        """The loop will look at `_arrived`; cleared before it looks."""
        self._beats = False
        self._hurries = False

    def begin(self, backend: Backend) -> None:
        """One more waits. What it waits for may not have left yet: it does, with that of others, once the loop comes round."""
        self.count += 1
        self._backend = backend
        loop = self._loop()
        if not self._hurries and loop is not None:
            self._hurries = True
            loop.call_soon(self._hurry, backend)
        if not self._beats:
            self._beats = True
            self._beat_later()

    def call(self, arrived: asyncio.Future[None]) -> None:
        """What one of them waits for is there; any thread."""
        self._arrived.append(arrived)
        loop = self._loop()
        if not self._woken and loop is not None:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
                loop.call_soon_threadsafe(self._wake)

    def _hurry(self, backend: Backend) -> None:
        self._hurries = False
        backend.hurry()

    def _wake(self) -> None:
        self._woken = False
        while self._arrived:
            arrived = self._arrived.popleft()
            if not arrived.done():
                arrived.set_result(None)

    def _beat(self) -> None:
        if not self.count:
            self._beats = False
            return
        self._beat_later()
        if self._backend is not None and self._backend.is_interlude_due():
            _play(self._backend)

    def _beat_later(self) -> None:
        loop = self._loop()
        if loop is not None:
            loop.call_later(HEARTBEAT_SECONDS, self._beat)


def _play(backend: Backend) -> None:
    """Play what has come up; Stop ends that, and then reaches whoever awaits as it would between two steps of the loop."""
    import signal

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    stopped = False
    try:
        backend.play_interlude()
    except KeyboardInterrupt:
        stopped = True
    finally:
        signal.signal(signal.SIGINT, before)
    if stopped:
        signal.raise_signal(signal.SIGINT)


_waits: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Waits] = weakref.WeakKeyDictionary()

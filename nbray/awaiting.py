"""Waiting for objects in an event loop, which stays free meanwhile and goes on noticing interrupts."""

from __future__ import annotations

import contextlib
import weakref
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

    loop = asyncio.get_running_loop()
    arrived = loop.create_future()

    def wake() -> None:
        if not arrived.done():
            arrived.set_result(None)

    def on_ready() -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(wake)

    heartbeat = _heartbeats.setdefault(loop, _Heartbeat())
    heartbeat.begin(loop)
    try:
        backend.on_ready(object_id, on_ready)
        with backend.waiting():
            await arrived
    finally:
        heartbeat.waits -= 1


class _Heartbeat:
    """The one timer of a loop, there while anything waits in it."""

    __slots__ = ("_beats", "waits")

    def __init__(self) -> None:
        self.waits = 0
        self._beats = False

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """One more waits."""
        self.waits += 1
        if not self._beats:
            self._beats = True
            loop.call_later(HEARTBEAT_SECONDS, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.waits:
            loop.call_later(HEARTBEAT_SECONDS, self._beat, loop)
        else:
            self._beats = False


_heartbeats: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Heartbeat] = weakref.WeakKeyDictionary()

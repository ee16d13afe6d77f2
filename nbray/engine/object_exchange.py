"""Turns Python values into objects and objects into values: small ones inline, large ones in the arena."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from typing import Any

from nbray import serialization
from nbray.engine.connection import Connection
from nbray.engine.failures import to_exception
from nbray.errors import StoreFull
from nbray.ids import ObjectId
from nbray.scheduler.messages import (
    INLINE_LIMIT,
    Failure,
    GiveBack,
    Granted,
    Inline,
    Put,
    Refused,
    Spilled,
    Stored,
    Value,
)  # fmt: skip
from nbray.serialization import Payload
from nbray.store.object_store import ObjectStore

LET_GO_SECONDS = 1.0


class ObjectExchange:
    """The values of one process's connection; any thread."""

    def __init__(self, connection: Connection, store: ObjectStore) -> None:
        self._connection = connection
        self._store = store
        connection.reading = store.reading
        self.on_full: Callable[[], bool] = lambda: False
        """Called when the store is full, to let go of what is only kept for speed; says whether that was anything."""
        self.written = (0, 0.0)
        """Bytes that were written into the arena, and the seconds that took, room for them included; of threads that write at the
        same time one may be left out."""

    def pack(self, value: Any, name: str = "") -> Value:
        """The value as it travels; large ones are written into the arena first. Raises NotShippable, StoreFull.

        `name` is how an error calls the value.
        """
        return self.pack_payload(serialization.dumps(value, name))

    def pack_payload(self, payload: Payload) -> Value:
        """The same for a value that is pickled already."""
        size = serialization.encoded_size(payload)
        if size > INLINE_LIMIT:
            return self._write(payload, size)
        frame = serialization.encode(payload)
        return Inline(frame, payload.nested) if payload.nested else frame

    def object_at(self, address: int) -> ObjectId | None:
        """The object that an array at this address looks into."""
        return self._store.object_at(address)

    def put(self, value: Any) -> ObjectId:
        """Store a value; this process holds one reference."""
        return self.put_payload(serialization.dumps(value))

    def put_payload(self, payload: Payload) -> ObjectId:
        """The same for a value that is pickled already."""
        packed = self.pack_payload(payload)
        object_id = self._connection.next_object()
        self._connection.learn_own(object_id, packed)
        self._connection.post(Put(object_id, packed))
        self._connection.wait_for_room()
        return object_id

    def unpack(self, object_id: ObjectId, value: Value, deadline: float = math.inf) -> Any:
        """The Python value of an object; arrays over the arena are read-only views that keep the object alive.

        One that is on disk is brought back. Raises GetTimeoutError after the deadline (time.monotonic), StoreFull, ObjectLost.
        """
        if type(value) is bytes:
            return serialization.loads(value)
        if isinstance(value, Stored):
            view = self._store.view(object_id, value.offset, value.size, value.restored)
            place = self._connection.value(object_id)
            if place is value or place is None or place == value:
                return serialization.loads(view)
            del view  # it has just been asked to let go of it, and did before the view could say that it reads
            return self._fetch(object_id, deadline)
        if isinstance(value, Inline):
            return serialization.loads(value.data)
        if isinstance(value, Spilled):
            return self._fetch(object_id, deadline)
        assert isinstance(value, Failure)
        raise to_exception(value)

    def _fetch(self, object_id: ObjectId, deadline: float) -> Any:
        """Read an object that was on disk when this process heard of it last."""
        self._connection.references.hold(object_id)
        try:
            with self._store.keep(object_id):
                reply = self._connection.fetch(object_id, deadline)
                if isinstance(reply, Refused):
                    gc.collect()
                    reply = self._connection.fetch(object_id, deadline)
                if isinstance(reply, Refused):
                    raise to_exception(reply.failure)
                return self._read(object_id, reply.value)
        finally:
            self._connection.release(object_id)

    def _read(self, object_id: ObjectId, value: Value) -> Any:
        """Read an object that stays where it is meanwhile."""
        if not isinstance(value, Stored):
            return self.unpack(object_id, value)
        return serialization.loads(self._store.view(object_id, value.offset, value.size, value.restored))

    def _write(self, payload: Payload, size: int) -> Stored:
        began = time.perf_counter()
        extent = self._allocate(size)
        try:
            self._store.write(payload, extent.offset, size, extent.warm)
        except BaseException:  # an interrupt too: the extent must not stay taken
            self._connection.post(GiveBack(extent.offset))
            raise
        so_far, seconds = self.written
        self.written = so_far + size, seconds + time.perf_counter() - began
        return Stored(extent.offset, size, payload.nested)

    def _allocate(self, size: int) -> Granted:
        reply = self._connection.allocate(size)
        if isinstance(reply, Refused):
            room_comes = self.on_full()
            gc.collect()  # arrays in cycles keep their objects pinned until they are collected
            reply = self._connection.allocate(size)
            deadline = time.monotonic() + LET_GO_SECONDS
            while isinstance(reply, Refused) and room_comes and time.monotonic() < deadline:
                time.sleep(0.01)  # workers let go of it in their time
                reply = self._connection.allocate(size)
        if isinstance(reply, Refused):
            raise StoreFull(reply.failure.message)
        return reply

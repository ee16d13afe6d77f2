"""Values in the arena: written once into an extent, read without a copy, pinned while an array over them lives."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from nbray import serialization
from nbray.ids import ObjectId
from nbray.serialization import Payload
from nbray.store.arena import Arena
from nbray.store.pins import Pins

MAPPED_AT_MOST = 64 << 20
"""More bytes are not copied through the map where write(2) can do it: copying holds up this process's other threads."""


class ObjectStore:
    """One process's way to the objects in the arena; any thread. `hold` and `release` count its pins."""

    def __init__(self, arena: Arena, hold: Callable[[ObjectId], None], release: Callable[[ObjectId], None]) -> None:
        self._arena = arena
        self._pins = Pins(hold, release)
        self._read_at: dict[int, tuple[ObjectId, int]] = {}
        """The object that this process last read at each offset, and how often that had come back from disk."""

    def __repr__(self) -> str:
        return f"ObjectStore({self._arena!r})"

    def write(self, payload: Payload, offset: int, size: int, warm: bool) -> None:
        """Fill an extent that was granted for `size` bytes; `warm` says that all its pages hold memory already."""
        assert serialization.encoded_size(payload) <= size, (offset, size)
        if warm:
            self._arena.touch(offset, size)
            serialization.write_into(payload, self._arena.write_view(offset, size))
        elif size > MAPPED_AT_MOST or self._arena.take_turn():
            try:
                serialization.write_to(payload, lambda piece, position: self._arena.pwrite(piece, offset + position))
            finally:
                self._arena.end_turn()
        else:
            serialization.write_into(payload, self._arena.write_view(offset, size))

    def view(self, object_id: ObjectId, offset: int, size: int, restored: int = 0) -> memoryview:
        """An object's bytes, read-only; the view, and every array that is built over it, pins the object.

        `restored` is how often the object has come back from disk.
        """
        if self._read_at.get(offset) != (object_id, restored):
            # What stray writes left in private pages here belongs to an object that is gone. Forgetting it now, not
            # when that one was released, keeps the pages mapped for whoever reads the same object again.
            self._arena.forget(offset, size)
            self._read_at[offset] = object_id, restored
        return self._pins.pin(object_id, self._arena.read_view(offset, size))

    def object_at(self, address: int) -> ObjectId | None:
        """The pinned object whose bytes lie at this address of the process: what an array looks into."""
        offset = self._arena.offset_of(address)
        pinned = self._pins.pinned()
        if offset is None or not pinned:
            return None
        below = [(start, object_id) for start, (object_id, _) in list(self._read_at.items()) if start <= offset]
        return max(((start, object_id) for start, object_id in below if object_id in pinned), default=(0, None))[1]

    def reading(self) -> set[ObjectId]:
        """The objects that are pinned."""
        return self._pins.pinned()

    def keep(self, object_id: ObjectId) -> contextlib.AbstractContextManager[None]:
        """While it lasts, `reading` names the object, so that nobody moves it before it is read."""
        return self._pins.announce(object_id)

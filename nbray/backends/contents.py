"""Which stored object has which bytes: told by a sample of them, and by a hash of all of them only where samples agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xxhash

from nbray.ids import ObjectId

SAMPLES = 64
SAMPLE_BYTES = 64

Data = bytes | memoryview


def sample_of(data: Data) -> bytes:
    """A hash of the length and of some bytes from everywhere: about 10 us, where hashing 40 MB takes 1.5 ms."""
    view = memoryview(data)
    sample = xxhash.xxh3_128(len(view).to_bytes(8, "little"))
    for start in range(0, len(view), max(SAMPLE_BYTES, len(view) // SAMPLES)):
        sample.update(view[start : start + SAMPLE_BYTES])
    sample.update(view[-SAMPLE_BYTES:])
    return sample.digest()


class Contents:
    """The objects by their bytes. Those of a stored object never change, so they are hashed late, and once."""

    def __init__(self, read: Callable[[ObjectId], Any]) -> None:
        self._read = read
        self._by_sample: dict[bytes, list[ObjectId]] = {}
        self._hashes: dict[ObjectId, bytes] = {}

    def find(self, sample: bytes, data: Data) -> ObjectId | None:
        """The object with exactly these bytes, whose `sample_of` is given."""
        candidates = self._by_sample.get(sample)
        if not candidates:
            return None
        wanted = xxhash.xxh3_128_digest(data)
        return next((object_id for object_id in candidates if self._hash(object_id) == wanted), None)

    def add(self, sample: bytes, object_id: ObjectId) -> None:
        """The object holds bytes with this sample."""
        self._by_sample.setdefault(sample, []).append(object_id)

    def forget(self, sample: bytes, object_id: ObjectId) -> None:
        """The object goes."""
        self._by_sample[sample].remove(object_id)
        if not self._by_sample[sample]:
            del self._by_sample[sample]
        self._hashes.pop(object_id, None)

    def _hash(self, object_id: ObjectId) -> bytes:
        if object_id not in self._hashes:
            self._hashes[object_id] = xxhash.xxh3_128_digest(self._read(object_id))
        return self._hashes[object_id]

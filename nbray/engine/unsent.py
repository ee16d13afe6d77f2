"""What tasks have printed and their worker has not sent yet, in memory that outlives the worker: last words are not lost.

A worker sends its prints in batches. Until then they stand here too, one area of shared memory for each worker, written by it
and read by the scheduler process when the worker has died.
"""

from __future__ import annotations

import mmap
import os
import struct

from nbray.engine.words import MAX_WORKERS
from nbray.ids import TaskId
from nbray.store.arena import open_anonymous_file

AREA_BYTES = 64 * 1024
_STREAMS = ("stdout", "stderr")
_LENGTH = struct.Struct("<Q")
_HEADER = struct.Struct("<QBI")
"""Of each piece: task, stream, size."""


class Unsent:
    """All areas; made by the zygote and inherited by every process that it starts. Pages never written to take no memory."""

    def __init__(self, fd: int = -1) -> None:
        self.fd = open_anonymous_file("nbray-unsent", MAX_WORKERS * AREA_BYTES) if fd < 0 else fd
        self._map = mmap.mmap(self.fd, MAX_WORKERS * AREA_BYTES)

    def __del__(self) -> None:
        os.close(self.fd)

    def of(self, slot: int) -> UnsentOfWorker:
        """The area of one worker."""
        return UnsentOfWorker(memoryview(self._map)[slot * AREA_BYTES : (slot + 1) * AREA_BYTES])


class UnsentOfWorker:
    """One worker's area. The length is written last, so whenever the worker dies, what it covers is whole."""

    def __init__(self, area: memoryview) -> None:
        self._area = area

    @property
    def length(self) -> int:
        """Bytes in use, to `drop` later."""
        return int(_LENGTH.unpack_from(self._area)[0])

    def add(self, task_id: TaskId, stream: str, data: bytes) -> bool:
        """Note one piece; False when it does not fit."""
        length = self.length
        begin = _LENGTH.size + length
        end = begin + _HEADER.size + len(data)
        if end > AREA_BYTES:
            return False
        _HEADER.pack_into(self._area, begin, task_id, _STREAMS.index(stream), len(data))
        self._area[begin + _HEADER.size : end] = data
        _LENGTH.pack_into(self._area, 0, end - _LENGTH.size)
        return True

    def drop(self, length: int) -> None:
        """The first `length` bytes have been sent."""
        rest = bytes(self._area[_LENGTH.size + length : _LENGTH.size + self.length])
        _LENGTH.pack_into(self._area, 0, 0)
        self._area[_LENGTH.size : _LENGTH.size + len(rest)] = rest
        _LENGTH.pack_into(self._area, 0, len(rest))

    def take(self) -> list[tuple[TaskId, str, bytes]]:
        """What a dead worker left, as task, stream and data; the area is empty then."""
        pieces, position, end = [], _LENGTH.size, min(AREA_BYTES, _LENGTH.size + self.length)
        while position + _HEADER.size <= end:
            task_id, stream, size = _HEADER.unpack_from(self._area, position)
            position += _HEADER.size + size
            pieces.append((TaskId(task_id), _STREAMS[stream % 2], bytes(self._area[position - size : min(position, end)])))
        _LENGTH.pack_into(self._area, 0, 0)
        return pieces

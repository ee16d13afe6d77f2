"""What tasks have printed and returned and their worker has not sent yet, in memory that outlives the worker: nothing is lost.

A worker sends prints and results in batches. Until then they stand here too, two areas of shared memory for each worker, written
by it and read by the scheduler process when the worker has died: a task that had ended does not fail for one that came later.
"""

from __future__ import annotations

import mmap
import os
import struct

import msgspec

from nbray.engine import wire
from nbray.engine.words import MAX_WORKERS
from nbray.ids import TaskId
from nbray.scheduler.messages import Failure, TaskResult
from nbray.store.arena import open_anonymous_file

AREA_BYTES = 64 * 1024
_STREAMS = ("stdout", "stderr")
_LENGTH = struct.Struct("<Q")
_HEADER = struct.Struct("<QBI")
"""Of each piece: task, stream, size."""
_SIZE = struct.Struct("<I")


class Unsent:
    """All areas; made by the zygote and inherited by every process that it starts. Pages never written to take no memory."""

    def __init__(self, fd: int = -1) -> None:
        self.fd = open_anonymous_file("nbray-unsent", 2 * MAX_WORKERS * AREA_BYTES) if fd < 0 else fd
        self._map = mmap.mmap(self.fd, 2 * MAX_WORKERS * AREA_BYTES)

    def __del__(self) -> None:
        os.close(self.fd)

    def of(self, slot: int) -> UnsentOfWorker:
        """The prints of one worker."""
        return UnsentOfWorker(self._area(2 * slot))

    def results_of(self, slot: int) -> UnsentResults:
        """The results of its tasks."""
        return UnsentResults(self._area(2 * slot + 1))

    def _area(self, number: int) -> memoryview:
        return memoryview(self._map)[number * AREA_BYTES : (number + 1) * AREA_BYTES]


class UnsentOfWorker:
    """One worker's prints. The length is written last, so whenever the worker dies, what it covers is whole."""

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


class UnsentResults:
    """One worker's results; of these too the length is written last.

    A value in the arena is not for here: heard twice, the second time its place could be somebody else's.
    """

    def __init__(self, area: memoryview) -> None:
        self._area = area
        self._length = area.cast("Q")
        """Its first word: storing one is quicker than packing it, and this is on the way of each of many short tasks."""
        self._encode = msgspec.msgpack.Encoder().encode
        self._end = _LENGTH.size

    def add(self, result: TaskResult) -> bool:
        """Note one, behind the others; False when it does not fit or has to be sent at once."""
        for value in result.values:
            if type(value) is not bytes and type(value) is not Failure:
                return False
        data, begin = self._encode(result), self._end
        end = begin + _SIZE.size + len(data)
        if end > AREA_BYTES:
            return False
        self._area[begin:end] = _SIZE.pack(len(data)) + data
        self._length[0] = end - _LENGTH.size
        self._end = end
        return True

    def clear(self) -> None:
        """All of them have been sent."""
        self._length[0] = 0
        self._end = _LENGTH.size

    def take(self) -> list[TaskResult]:
        """What a dead worker left, in order; the area is empty then. Raises ProtocolError where user code has written into it."""
        data = bytes(self._area[_LENGTH.size : _LENGTH.size + self._length[0]])
        self.clear()
        decoder: wire.FrameDecoder[TaskResult] = wire.FrameDecoder(TaskResult)
        return decoder.feed(data)

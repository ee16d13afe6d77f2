"""Values as bytes: pickles with their large buffers beside them, and the one frame in which both travel.

    no buffers:    the bare pickle (begins with 0x80)
    with buffers:  "nbr1", count, length of the pickle | offset and size of each | the pickle | buffers, each at 64 n

`loads` copies no buffer: an array is a read-only view into the frame and keeps whatever the frame lies in alive.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from nbray.errors import NbrayError, NotShippable, ObjectLost
from nbray.ids import ObjectId
from nbray.pickler import PROTOCOL, ReferenceCollector, note_reference, pickle_fast

__all__ = [
    "Payload",
    "dumps",
    "dumps_arguments",
    "dumps_plain",
    "dumps_plain_arguments",
    "encode",
    "encoded_size",
    "load_error",
    "loads",
    "note_reference",
    "write_into",
    "write_to",
]

ALIGNMENT = 64
LARGE_COPY = 1 << 20

_MAGIC = b"nbr1"
_HEADER = struct.Struct("<4sIQ")
_ENTRY = struct.Struct("<QQ")
_PICKLE_START = 0x80

SHORT = 32 * 1024
_SIZED = (str, bytes)
_SCALARS = frozenset({int, float, str, bool, type(None), bytes, complex})


class Payload(NamedTuple):
    """A pickled value: the stream, the buffers that it refers to, and the ids of the ObjectRefs inside."""

    stream: bytes
    buffers: list[pickle.PickleBuffer]
    nested: list[ObjectId]


class _LargeBytes:
    """Pickles as its bytes, out of band: pickle would copy them into its stream first."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __reduce__(self) -> Any:
        return bytes, (pickle.PickleBuffer(self._data),)


def dumps(value: Any, name: str = "") -> Payload:
    """Pickle a value; its arrays are referred to, not copied, so they must not change before they are written.

    `name` is how an error calls the value. Raises NotShippable.
    """
    kind = type(value)
    if kind in _SCALARS or (kind is tuple and _SCALARS.issuperset(map(type, value))):
        if kind is bytes and len(value) >= LARGE_COPY:
            return _dumps(_LargeBytes(value), name, is_call=False)
        return Payload(pickle.dumps(value, PROTOCOL), [], [])
    return _dumps(value, name, is_call=False)


def dumps_plain(value: Any) -> bytes | None:
    """The frame of a small scalar, the common result of a short task; None for every other value."""
    if type(value) not in _SCALARS or (type(value) in _SIZED and len(value) > SHORT):
        return None
    return pickle.dumps(value, PROTOCOL)


def dumps_plain_arguments(args: tuple[Any, ...]) -> bytes | None:
    """The frame of a call with only positional scalars, the common call of a short task; None for all other calls."""
    return pickle.dumps((args, {}), PROTOCOL) if _SCALARS.issuperset(map(type, args)) else None


def dumps_arguments(args: tuple[Any, ...], kwargs: dict[str, Any], function_name: str) -> Payload:
    """Pickle the arguments of a call as `(args, kwargs)`; an error names the argument. Raises NotShippable."""
    if not kwargs and _SCALARS.issuperset(map(type, args)):
        return Payload(pickle.dumps((args, kwargs), PROTOCOL), [], [])
    return _dumps((args, kwargs), function_name, is_call=True)


def _dumps(value: Any, name: str, *, is_call: bool) -> Payload:
    buffers: list[pickle.PickleBuffer] = []
    with ReferenceCollector() as nested:
        try:
            stream = pickle_fast(value, buffers.append)
        except (NbrayError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - a value's own __reduce__ may raise anything
            buffers.clear()
            nested.clear()
            stream = _dumps_fallback(value, name, buffers, error, is_call=is_call)
    return Payload(stream, buffers, nested)


def _dumps_fallback(
    value: Any, name: str, buffers: list[pickle.PickleBuffer], error: Exception, *, is_call: bool
) -> bytes:
    # Loaded at first need: dill takes longer to import than a whole small session to start.
    from nbray.fallback_pickler import FallbackPickler
    from nbray.shippability import dump_or_explain

    file = io.BytesIO()
    dump_or_explain(FallbackPickler(file, buffers.append), value, name, error, is_call=is_call)
    return file.getvalue()


def encoded_size(payload: Payload) -> int:
    """Size of the frame in bytes."""
    if not payload.buffers:
        return len(payload.stream)
    return _layout(payload).size


def encode(payload: Payload) -> bytes:
    """The frame as bytes; for small values, as everything is copied once."""
    if not payload.buffers:
        return payload.stream
    parts: list[bytes | memoryview] = []
    end = 0
    for offset, piece in _layout(payload).pieces(payload.stream):
        parts += (bytes(offset - end), piece)
        end = offset + len(piece)
    return b"".join(parts)


def write_into(payload: Payload, target: memoryview) -> None:
    """Write the frame into writable memory of at least `encoded_size` bytes; large copies release the GIL."""
    if not payload.buffers:
        _copy(memoryview(payload.stream), target, 0)
        return
    for offset, piece in _layout(payload).pieces(payload.stream):
        _copy(piece, target, offset)


def write_to(payload: Payload, pwrite: Callable[[memoryview, int], None]) -> None:
    """Write the frame piece by piece as `pwrite(piece, offset in the frame)`; the gaps between them are not written."""
    if not payload.buffers:
        pwrite(memoryview(payload.stream), 0)
        return
    for offset, piece in _layout(payload).pieces(payload.stream):
        pwrite(piece, offset)


def loads(frame: bytes | memoryview) -> Any:
    """The value of a frame; arrays in it are read-only views into the frame.

    Raises ObjectLost when the bytes are damaged, NotShippable when this process cannot rebuild the value.
    """
    try:
        if frame[0] == _PICKLE_START:
            return pickle.loads(frame)
        stream, buffers = _split(memoryview(frame).toreadonly())
        return pickle.loads(stream, buffers=buffers)
    except NbrayError:
        raise
    except (Exception, SystemExit) as error:  # who calls sys.exit when it is rebuilt shall not end who asked for the value
        raise load_error(error, frame) from error


def load_error(error: BaseException, frame: bytes | memoryview) -> Exception:
    """What to raise when a frame could not be loaded because of `error`."""
    if isinstance(error, pickle.UnpicklingError | EOFError | IndexError | struct.error):
        return ObjectLost(f"the {len(frame)} bytes of this value are damaged ({type(error).__name__}: {error})")
    advice = "define or import its class here, or send plain data (dict, list, array) instead"
    if isinstance(error, ImportError):
        advice = "install that package in this process's environment, or put its folder on sys.path before nbray starts"
    return NotShippable(f"a value arrived but cannot be rebuilt here: {type(error).__name__}: {error}. Next: {advice}")


class _Layout(NamedTuple):
    views: list[memoryview]
    offsets: list[int]
    size: int

    def pieces(self, stream: bytes) -> Iterator[tuple[int, memoryview]]:
        head = bytearray(_HEADER.pack(_MAGIC, len(self.views), len(stream)))
        for offset, view in zip(self.offsets, self.views, strict=True):
            head += _ENTRY.pack(offset, len(view))
        yield 0, memoryview(head + stream)
        yield from zip(self.offsets, self.views, strict=True)


def _layout(payload: Payload) -> _Layout:
    views = [buffer.raw() for buffer in payload.buffers]
    end = _HEADER.size + _ENTRY.size * len(views) + len(payload.stream)
    offsets = []
    for view in views:
        start = -end % ALIGNMENT + end
        offsets.append(start)
        end = start + len(view)
    return _Layout(views, offsets, end)


def _split(frame: memoryview) -> tuple[memoryview, list[memoryview]]:
    magic, count, length = _HEADER.unpack_from(frame)
    start = _HEADER.size + _ENTRY.size * count
    if magic != _MAGIC or start + length > len(frame):
        raise ObjectLost(f"the {len(frame)} bytes of this value are damaged: they begin with {bytes(frame[:8])!r}")
    buffers = []
    for offset, size in _ENTRY.iter_unpack(frame[_HEADER.size : start]):
        if offset + size > len(frame):
            raise ObjectLost(f"the {len(frame)} bytes of this value are damaged: a buffer ends at {offset + size}")
        buffers.append(frame[offset : offset + size])
    return frame[start : start + length], buffers


def _copy(source: memoryview, target: memoryview, offset: int) -> None:
    end = offset + len(source)
    if len(source) < LARGE_COPY:
        target[offset:end] = source
        return
    # Assigning to a slice of a memoryview holds the GIL for as long as it copies; numpy lets other threads run.
    import numpy

    numpy.copyto(numpy.frombuffer(target[offset:end], numpy.uint8), numpy.frombuffer(source, numpy.uint8))

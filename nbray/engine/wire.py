"""Frames of the task plane: a little-endian length of four bytes, then one message as MessagePack.

Decoding is a pure function of the bytes: whatever arrives, the outcome is messages or `ProtocolError`.
"""

from __future__ import annotations

import struct
from typing import Any, Generic, TypeVar

import msgspec

from nbray.errors import InternalError
from nbray.scheduler.messages import MAX_FRAME, FromScheduler, Hello, ToScheduler
from nbray.unreadable import UNREADABLE

MOST_OF_STRANGER = 64 * 1024
"""Bytes of the largest frame of who has not said Hello."""
_LENGTH = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder()

Message = TypeVar("Message")


class ProtocolError(InternalError):
    """Bytes on the task plane that are no message: a peer of another version, or a bug."""


def append_frame(buffer: bytearray, message: msgspec.Struct) -> None:
    """Add one message to the bytes that wait to be sent."""
    start = len(buffer)
    buffer += b"\0\0\0\0"
    try:
        _encoder.encode_into(message, buffer, start + 4)
        size = len(buffer) - start - 4
        if size > MAX_FRAME:
            raise ProtocolError(f"a {type(message).__name__} message of {size:,} bytes: the most is {MAX_FRAME:,}")
    except BaseException:
        del buffer[start:]
        raise
    _LENGTH.pack_into(buffer, start, size)


def frame(message: msgspec.Struct) -> bytearray:
    """One message by itself."""
    buffer = bytearray()
    append_frame(buffer, message)
    return buffer


class FrameDecoder(Generic[Message]):
    """Turns the bytes of one connection into messages; keeps what is incomplete."""

    def __init__(self, kind: Any, most: int = MAX_FRAME) -> None:
        self._most = most
        self._decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(kind)
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete with `data`, in order; raises ProtocolError, after which all is over."""
        pending = self._pending
        pending += data
        messages: list[Message] = []
        start, end = 0, len(pending)
        with memoryview(pending) as view:
            while end - start >= 4:
                size = _LENGTH.unpack_from(view, start)[0]
                if size > self._most:
                    raise ProtocolError(f"a frame announces {size:,} bytes: the most is {self._most:,}")
                if end - start - 4 < size:
                    break
                messages.append(self._decode(view[start + 4 : start + 4 + size]))
                start += 4 + size
        if start:
            del pending[:start]
        return messages

    def _decode(self, frame: memoryview) -> Message:
        try:
            return self._decoder.decode(frame)
        except UNREADABLE as error:
            raise ProtocolError(f"a frame of {len(frame):,} bytes is no message: {error}") from error
        finally:
            frame.release()


def stranger_decoder() -> FrameDecoder[ToScheduler]:
    """Decodes what the scheduler receives on a connection first: Hello, and nothing else.

    So nobody who is not known makes it build anything but one small record, whatever he sends.
    """
    return FrameDecoder(Hello, MOST_OF_STRANGER)


def scheduler_decoder() -> FrameDecoder[ToScheduler]:
    """Decodes what the scheduler receives then."""
    return FrameDecoder(ToScheduler)


def process_decoder() -> FrameDecoder[FromScheduler]:
    """Decodes what a driver or a worker receives."""
    return FrameDecoder(FromScheduler)

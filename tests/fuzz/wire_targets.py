"""The decoders of everything that travels: only ProtocolError, and what a stranger can make them do is bounded."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import msgspec

from nbray import plot_points, progress_board
from nbray.engine import wire
from nbray.engine.supervision import FromZygote, ToZygote
from nbray.notebook import promises
from nbray.scheduler.messages import Hello
from nbray.snapshot import ClusterSnapshot
from tests.fuzz.choices import Choices
from tests.fuzz.cost import memory_of, seconds_of
from tests.fuzz.messages import KINDS_FROM, KINDS_TO, broken, build, message
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import Target, plain

MOST_BYTES_FOR_A_BYTE = 80
"""What Python's objects take where each byte of a message of our own is an object."""
MeasuredDecoder = Callable[[], wire.FrameDecoder[Any]]


def allowed_seconds(size: int) -> float:
    """1 ms and a microsecond for each kilobyte."""
    return 1e-3 + 1e-6 * size / 1024


def allowed_memory(size: int) -> int:
    """Twice the input, and 64 KB."""
    return 2 * size + 65_536


def _fed(decoder: MeasuredDecoder, data: bytes) -> list[Any] | None:
    try:
        return decoder().feed(data)
    except wire.ProtocolError:
        return None


def _frame(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


def _body(choices: Choices, kinds: tuple[type, ...]) -> bytes:
    """Of a frame: a good one, one with a field that is wrong, a damaged one, or none at all."""
    way = choices.number(3)
    if way == 3:
        return choices.rest()
    body = msgspec.msgpack.encode(message(choices, kinds))
    return (lambda: body, lambda: broken(body, choices), lambda: mutated(body, choices))[way]()


def stranger(data: bytes) -> str:
    """Whatever comes first on a connection."""
    choices = Choices(data)
    frame = _frame(_body(choices, (Hello, *KINDS_TO))) if not choices.chance(4) else choices.rest()
    feed = partial(_fed, wire.stranger_decoder, frame)
    messages = feed()
    assert messages is None or all(type(each) is Hello for each in messages)
    size, seconds = memory_of(feed), seconds_of(feed, allowed_seconds(len(frame)))
    assert size <= allowed_memory(len(frame)), f"{size:,} bytes for {len(frame):,}"
    assert seconds <= allowed_seconds(len(frame)), f"{seconds * 1e3:.3f} ms for {len(frame):,} bytes"
    return "refused" if messages is None else "read"


def talk(decoder: MeasuredDecoder, kinds: tuple[type, ...], data: bytes) -> str:
    """What comes then."""
    choices = Choices(data)
    if choices.chance(2):
        sent = message(choices, kinds)
        frame = bytes(wire.frame(sent))
        cut = choices.number(len(frame))
        reader = decoder()
        assert _same([*reader.feed(frame[:cut]), *reader.feed(frame[cut:])], [sent])
        return "read"
    frame = _frame(_body(choices, kinds))
    messages = _fed(decoder, frame)
    for each in messages or ():
        assert _same(_fed(decoder, bytes(wire.frame(each))), [each])
    assert memory_of(partial(_fed, decoder, frame)) <= MOST_BYTES_FOR_A_BYTE * len(frame) + 65_536
    return "refused" if messages is None else "read"


def _same(one: Any, other: Any) -> bool:
    """Equal, where no number that is none is equal to itself."""
    return bool(one == other or msgspec.msgpack.encode(one) == msgspec.msgpack.encode(other))


RECORDS: tuple[tuple[type, Callable[[bytes], Any]], ...] = (
    (progress_board.BarState, progress_board.decode),
    (plot_points.Points, plot_points.decode),
    (promises.Promise, promises.decode),
)


def record(data: bytes) -> str:
    """What tasks and drivers put into messages as JSON for a kernel: a record, or None."""
    choices = Choices(data)
    kind, decode = choices.pick(RECORDS)
    body = mutated(msgspec.json.encode(build(kind, choices)), choices)
    return "refused" if decode(body) is None else "read"


_ROUND_TRIP = "ProtocolError; decode(encode(m)) == m"
TARGETS: list[Target] = [
    plain("stranger", stranger, "ProtocolError; 1 ms + 1 us/KB; 2 x input + 64 KB"),
    plain("to scheduler", partial(talk, wire.scheduler_decoder, KINDS_TO), _ROUND_TRIP),
    plain("from scheduler", partial(talk, wire.process_decoder, KINDS_FROM), _ROUND_TRIP),
    plain("to zygote", partial(talk, partial(wire.FrameDecoder, ToZygote), get_args(ToZygote)), _ROUND_TRIP),
    plain("from zygote", partial(talk, partial(wire.FrameDecoder, FromZygote), get_args(FromZygote)), _ROUND_TRIP),
    plain("observer", partial(talk, partial(wire.FrameDecoder, ClusterSnapshot), (ClusterSnapshot,)), _ROUND_TRIP),
    plain("record", record, "a record or None"),
]

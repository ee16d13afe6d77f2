"""Values as bytes: frames, zero copy, references found on the way, damage named."""

from __future__ import annotations

import array
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbray.errors import NbrayError, NotShippable, ObjectLost
from nbray.ids import ObjectId
from nbray.serialization import (
    Payload,
    dumps,
    dumps_arguments,
    encode,
    encoded_size,
    loads,
    note_reference,
    write_into,
    write_to,
)

ARRAYS = st.sampled_from(
    [
        np.arange(6.0),
        np.arange(12, dtype=np.int32).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(20)[::3],
        np.zeros((0, 3)),
        np.array(3.5),
        np.array(["a", "long text"]),
        np.array(["2026-01-01", "NaT"], dtype="M8[ns]"),
        np.arange(5, dtype=">i4"),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([{"a": 1}, None], dtype=object),
        np.arange(4, dtype=np.longdouble),
        np.arange(100_000, dtype=np.uint8),
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | ARRAYS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=12,
)


class Reference:
    """Stands in for an ObjectRef: notes its id while it is pickled."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        note_reference(ObjectId(self.number))
        return Reference, (self.number,)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, np.ndarray):
        return isinstance(right, np.ndarray) and left.dtype == right.dtype and repr(left) == repr(right)
    if isinstance(left, list | tuple):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return bool(type(left) is type(right) and left == right)


def written_into(payload: Payload) -> bytes:
    target = bytearray(encoded_size(payload))
    write_into(payload, memoryview(target))
    return bytes(target)


def written_to(payload: Payload) -> bytes:
    target = bytearray(encoded_size(payload))

    def pwrite(piece: memoryview, offset: int) -> None:
        target[offset : offset + len(piece)] = piece

    write_to(payload, pwrite)
    return bytes(target)


@settings(max_examples=40, deadline=None)
@given(VALUES)
def test_a_value_comes_back_equal(value: Any) -> None:
    assert same(value, loads(encode(dumps(value))))


@settings(max_examples=40, deadline=None)
@given(VALUES)
def test_the_three_ways_of_writing_give_the_same_bytes(value: Any) -> None:
    payload = dumps(value)
    frame = encode(payload)
    assert encoded_size(payload) == len(frame)
    assert written_into(payload) == frame
    assert written_to(payload) == frame


@given(st.binary(max_size=200))
def test_garbage_raises_an_error_of_ours(garbage: bytes) -> None:
    try:
        loads(garbage)
    except NbrayError:
        pass


@pytest.mark.parametrize("value", [np.arange(1000.0), [np.arange(3), "text"]])
def test_a_frame_cut_anywhere_raises_object_lost(value: Any) -> None:
    frame = encode(dumps(value))
    for end in range(0, len(frame) - 1, 7):
        with pytest.raises(ObjectLost, match="damaged"):
            loads(frame[:end])


class ExitsWhenRebuilt:
    def __reduce__(self) -> Any:
        return sys.exit, (4,)


def test_a_value_that_would_end_the_process_which_rebuilds_it_is_an_error() -> None:
    with pytest.raises(NotShippable, match=r"cannot be rebuilt here: SystemExit: 4"):
        loads(encode(dumps(ExitsWhenRebuilt())))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_byte_gives_a_value_or_an_error_of_ours(data: st.DataObject) -> None:
    frame = bytearray(encode(dumps({"a": [np.arange(3), "text", (1, 2.5)], "b": {1, 2}})))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        loads(bytes(frame))
    except NbrayError:
        pass


def test_a_frame_without_buffers_is_the_bare_pickle() -> None:
    assert encode(dumps({"a": 1}))[0] == 0x80


@pytest.mark.parametrize("size", [3, 10_000])
@pytest.mark.parametrize("step", [1, 2])
def test_arrays_arrive_read_only_and_share_the_frame(size: int, step: int) -> None:
    frame = bytearray(encode(dumps(np.zeros(size * step)[::step])))
    result = loads(memoryview(frame))
    assert not result.flags.writeable
    frame[-8:] = np.float64(7).tobytes()
    assert result[-1] == 7


def test_buffers_are_aligned() -> None:
    frame = np.zeros(100_000, np.uint8)
    start = -frame.ctypes.data % 4096
    payload = dumps([np.ones(3, np.uint8), np.ones(5), "x", np.ones(7)])
    target = frame.data[start : start + encoded_size(payload)]
    write_into(payload, target)
    arrays = [item for item in loads(target) if isinstance(item, np.ndarray)]
    assert [item.ctypes.data % 64 for item in arrays] == [0, 0, 0]


def test_a_large_buffer_is_copied_whole() -> None:
    value = np.random.default_rng(1).random(300_000)
    assert np.array_equal(loads(written_into(dumps(value))), value)


def test_large_bytes_are_not_copied_into_the_stream() -> None:
    value = bytes(range(256)) * 8192
    payload = dumps(value)
    assert len(payload.stream) < 100
    result = loads(encode(payload))
    assert type(result) is bytes
    assert result == value


def test_other_buffers_than_numpy_s() -> None:
    value = array.array("d", [1.0, 2.0])
    assert loads(encode(dumps(value))) == value
    assert loads(encode(dumps(memoryview(b"abc")))) == b"abc"


def test_references_are_collected() -> None:
    payload = dumps({"a": [Reference(7), 3], "b": Reference(8)})
    assert payload.nested == [7, 8]


def test_arguments_travel_as_a_pair() -> None:
    assert loads(encode(dumps_arguments((1, "a"), {}, "f"))) == ((1, "a"), {})
    assert loads(encode(dumps_arguments(([1],), {"k": 2}, "f"))) == (([1],), {"k": 2})


def test_a_value_that_needs_a_missing_module_names_it() -> None:
    frame = b"\x80\x05cno_such_module_here\nthing\n."
    with pytest.raises(NotShippable, match="No module named 'no_such_module_here'"):
        loads(frame)

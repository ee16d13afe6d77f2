"""Values through the arena: by the map and by write(2), without a copy, and never those of another object."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from typing import Any

import numpy
import pandas
import pytest

from nbray import serialization
from nbray.errors import ObjectLost
from nbray.ids import ObjectId
from nbray.store.arena import Arena
from nbray.store.object_store import ObjectStore

FIRST, SECOND = ObjectId(1), ObjectId(2)


class Bench:
    """An arena with a store, and the pins that the store reported."""

    def __init__(self) -> None:
        self.arena = Arena.create(1 << 30)
        self.pinned: list[ObjectId] = []
        self.store = ObjectStore(self.arena, self.pinned.append, self.pinned.remove)

    def write(self, value: Any, offset: int, warm: bool) -> int:
        payload = serialization.dumps(value)
        size = serialization.encoded_size(payload)
        self.store.write(payload, offset, size, warm)
        return size

    def read(self, object_id: ObjectId, offset: int, size: int, restored: int = 0) -> Any:
        return serialization.loads(self.store.view(object_id, offset, size, restored))


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.arena.close()


VALUES = {
    "an array": numpy.arange(300_000.0).reshape(300, 1000),
    "an array in Fortran's order": numpy.asfortranarray(numpy.arange(20_000).reshape(100, 200)),
    "many arrays": [numpy.full(3, number) for number in range(500)],
    "a frame": pandas.DataFrame({"a": numpy.arange(50_000), "b": numpy.arange(50_000) / 7}),
    "no buffers": list(range(50_000)),
    "bytes": bytes(300_000),
    "three MiB": numpy.arange(3 << 17),
}


@pytest.mark.parametrize("way", ["cold", "warm", "another writes"])
@pytest.mark.parametrize("kind", VALUES)
def test_value_comes_back(bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str, way: str) -> None:
    if way == "another writes":
        monkeypatch.setattr(bench.arena, "take_turn", lambda: False)
        monkeypatch.setattr(bench.arena, "pwrite", None)
    value = VALUES[kind]
    size = bench.write(value, 4096, way == "warm")
    again = bench.read(FIRST, 4096, size)
    if isinstance(value, pandas.DataFrame):
        pandas.testing.assert_frame_equal(again, value)
    elif isinstance(value, numpy.ndarray):
        numpy.testing.assert_array_equal(again, value, strict=True)
    elif kind == "many arrays":
        numpy.testing.assert_array_equal(numpy.stack(again), numpy.stack(value))
    else:
        assert again == value
    del again
    gc.collect()
    assert bench.pinned == []


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_neighbours_are_left_alone(bench: Bench, warm: bool) -> None:
    bench.arena.pwrite(memoryview(b"\xff" * 65536), 0)
    size = bench.write(numpy.zeros(2000), 4096, warm)
    assert bytes(bench.arena.read_view(0, 4096)) == b"\xff" * 4096
    assert set(bytes(bench.arena.read_view(4096 + size, 65536 - 4096 - size))) == {0xFF}


def test_array_is_a_read_only_view_that_pins(bench: Bench) -> None:
    size = bench.write(numpy.arange(10_000), 4096, False)
    part = bench.read(FIRST, 4096, size)[100:200]
    assert bench.pinned == [FIRST]
    with pytest.raises(ValueError, match="read-only"):
        part[0] = 1
    bench.arena.pwrite(memoryview(b"\0" * size), 4096)
    assert part.sum() == 0, "a view, not a copy"
    del part
    assert bench.pinned == []


def test_value_without_arrays_is_not_pinned(bench: Bench) -> None:
    size = bench.write(list(range(50_000)), 4096, False)
    value = bench.read(FIRST, 4096, size)
    assert (len(value), bench.pinned) == (50_000, [])


@pytest.mark.skipif(sys.platform != "linux", reason="a private map follows the file on Linux only")
def test_stray_writes_never_reach_the_next_object(bench: Bench) -> None:
    size = bench.write(numpy.zeros(10_000), 4096, False)
    array = bench.read(FIRST, 4096, size)
    ctypes.memset(array.ctypes.data, 1, 8)
    assert array[0] != 0
    del array
    bench.write(numpy.ones(10_000), 4096, True)
    assert (bench.read(SECOND, 4096, size) == 1).all()


def test_stray_writes_never_reach_an_object_that_comes_back_to_its_place(bench: Bench) -> None:
    size = bench.write(numpy.zeros(10_000), 4096, False)
    bench.read(FIRST, 4096, size)
    other = bench.read(SECOND, 4096 + 4096, bench.write(numpy.zeros(5_000), 4096 + 4096, True))
    ctypes.memset(other.ctypes.data, 1, 8)
    del other
    bench.write(numpy.ones(10_000), 4096, True)
    assert (bench.read(FIRST, 4096, size, restored=1) == 1).all()


def test_what_is_read_or_about_to_be_is_known(bench: Bench) -> None:
    array = bench.read(FIRST, 4096, bench.write(numpy.zeros(10_000), 4096, False))
    with bench.store.keep(SECOND):
        assert bench.store.reading() == {FIRST, SECOND}
    del array
    assert bench.store.reading() == set()


def test_same_object_again_keeps_its_pages_mapped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[int] = []
    monkeypatch.setattr(bench.arena, "forget", lambda offset, size: forgotten.append(offset))
    size = bench.write(numpy.zeros(10_000), 4096, False)
    for object_id in (FIRST, FIRST, SECOND, FIRST):
        bench.read(object_id, 4096, size)
    assert forgotten == [4096, 4096, 4096]


def test_damaged_bytes_are_lost_and_not_pinned(bench: Bench) -> None:
    size = bench.write(numpy.zeros(10_000), 4096, False)
    bench.arena.give_back(4096, 4096)
    with pytest.raises(ObjectLost, match="damaged"):
        bench.read(FIRST, 4096, size)
    gc.collect()
    assert bench.pinned == []


def test_an_address_tells_which_object_an_array_looks_into(bench: Bench) -> None:
    first, second = numpy.arange(100_000), numpy.arange(50_000)
    size = bench.write(first, 0, False)
    offset = 1 << 21
    kept = bench.read(FIRST, 0, size)
    other = bench.read(SECOND, offset, bench.write(second, offset, False))
    for array, object_id in ((kept, FIRST), (kept[5000:], FIRST), (other, SECOND), (other.reshape(100, -1)[3:], SECOND)):
        assert bench.store.object_at(array.__array_interface__["data"][0]) == object_id
    assert bench.store.object_at(first.__array_interface__["data"][0]) is None

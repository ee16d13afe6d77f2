"""Objects are found again by their bytes, and never by a sample of them alone."""

from __future__ import annotations

import pytest

from nbray.backends.contents import SAMPLES, Contents, sample_of
from nbray.ids import ObjectId

MILLION = bytes(range(250)) * 4000


class Store:
    def __init__(self) -> None:
        self.kept: dict[ObjectId, bytes] = {}
        self.reads: list[ObjectId] = []
        self.contents = Contents(self.read)

    def read(self, object_id: ObjectId) -> bytes:
        self.reads.append(object_id)
        return self.kept[object_id]

    def add(self, data: bytes) -> ObjectId:
        object_id = ObjectId(len(self.kept) + 1)
        self.kept[object_id] = data
        self.contents.add(sample_of(data), object_id)
        return object_id

    def find(self, data: bytes | bytearray) -> ObjectId | None:
        view = memoryview(data)
        return self.contents.find(sample_of(view), view)


def changed(data: bytes, place: int) -> bytearray:
    """The same but for one byte."""
    other = bytearray(data)
    other[place] ^= 1
    return other


def test_the_same_bytes_are_found_again() -> None:
    store = Store()
    assert store.find(MILLION) is None
    one = store.add(MILLION)
    assert store.find(bytearray(MILLION)) == one


def test_new_bytes_cost_no_look_at_the_store() -> None:
    store = Store()
    store.add(MILLION)
    assert store.find(changed(MILLION, 0)) is None
    assert store.reads == []


@pytest.mark.parametrize("place", [0, 1, 77, 12_345, 500_001, len(MILLION) - 1])
def test_a_single_byte_tells_two_apart(place: int) -> None:
    store = Store()
    store.add(MILLION)
    assert store.find(changed(MILLION, place)) is None


def test_many_with_one_sample_are_each_found_and_hashed_once() -> None:
    store = Store()
    between = len(MILLION) // SAMPLES // 2
    variants = [bytes(changed(MILLION, between + number)) for number in range(20)]
    assert len({sample_of(each) for each in variants}) == 1
    ids = [store.add(each) for each in variants]
    assert [store.find(each) for each in variants] == ids
    assert sorted(store.reads) == ids


def test_lengths_are_told_apart() -> None:
    assert sample_of(bytes(1000)) != sample_of(bytes(1001))


def test_what_is_forgotten_is_found_no_more() -> None:
    store = Store()
    one, two = store.add(MILLION), store.add(MILLION)
    store.contents.forget(sample_of(MILLION), one)
    assert store.find(MILLION) == two
    store.contents.forget(sample_of(MILLION), two)
    assert store.find(MILLION) is None

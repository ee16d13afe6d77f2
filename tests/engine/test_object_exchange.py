"""Small values travel inside their message, large ones through an extent that is never lost."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest

from nbray import serialization
from nbray.engine.connection import Connection
from nbray.engine.object_exchange import ObjectExchange
from nbray.errors import NotShippable, ObjectLost, StoreFull, TaskTimeout
from nbray.ids import ObjectId
from nbray.scheduler.messages import (
    INLINE_LIMIT,
    Failure,
    Fetched,
    GiveBack,
    Granted,
    Inline,
    Put,
    Refused,
    Spilled,
    Stored,
    Value,
)
from nbray.serialization import Payload
from nbray.store.object_store import ObjectStore

LARGE = np.arange(100_000)


class PretendedConnection:
    """Grants extents one behind the other as long as there is room."""

    def __init__(self) -> None:
        self.posted: list[Any] = []
        self.learned: dict[ObjectId, Value] = {}
        self.room = 10_000_000
        self.asked = 0
        self.reading: Callable[[], set[ObjectId]] = set
        self.fetches: list[Fetched | Refused] = []
        """What comes of the next fetches."""
        self.held: list[int] = []
        self.deadlines: list[float] = []
        self._next = 1

    @property
    def references(self) -> PretendedConnection:
        return self

    def hold(self, object_id: ObjectId) -> None:
        self.held.append(object_id)

    def release(self, object_id: ObjectId) -> None:
        self.held.remove(object_id)

    def value(self, object_id: ObjectId) -> Value | None:
        return self.learned.get(object_id)

    def fetch(self, object_id: ObjectId, deadline: float) -> Fetched | Refused:
        self.deadlines.append(deadline)
        assert object_id in self.held
        assert object_id in self.reading()
        return self.fetches.pop(0)

    def allocate(self, size: int) -> Granted | Refused:
        self.asked += 1
        if size > self.room:
            return Refused(1, Failure("store_full", f"{size:,} bytes do not fit"))
        self.room -= size
        return Granted(1, 4096 * self.asked, size, warm=False)

    def next_object(self) -> ObjectId:
        self._next += 1
        return ObjectId(self._next)

    def learn_own(self, object_id: ObjectId, value: Value) -> None:
        self.learned[object_id] = value

    def post(self, message: Any) -> None:
        self.posted.append(message)

    def wait_for_room(self) -> None:
        self.posted.append("room")


class PretendedStore:
    """Extents in a dictionary."""

    def __init__(self) -> None:
        self.frames: dict[int, bytes] = {}
        self.error: BaseException | None = None
        self.viewed: list[tuple[ObjectId, int]] = []
        self.kept: set[ObjectId] = set()

    def write(self, payload: Payload, offset: int, size: int, warm: bool) -> None:
        if self.error is not None:
            raise self.error
        self.frames[offset] = serialization.encode(payload)
        assert len(self.frames[offset]) == size

    def view(self, object_id: ObjectId, offset: int, size: int, restored: int) -> memoryview:
        self.viewed.append((object_id, restored))
        return memoryview(self.frames[offset][:size])

    def reading(self) -> set[ObjectId]:
        return self.kept

    @contextlib.contextmanager
    def keep(self, object_id: ObjectId) -> Iterator[None]:
        self.kept.add(object_id)
        try:
            yield
        finally:
            self.kept.remove(object_id)


class Parts:
    def __init__(self) -> None:
        self.connection = PretendedConnection()
        self.store = PretendedStore()
        self.exchange = ObjectExchange(cast("Connection", self.connection), cast("ObjectStore", self.store))


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.mark.parametrize("value", [None, 5, "text", b"bytes", {"a": [1, 2]}, np.arange(10)])
def test_small_values_travel_as_bare_bytes(parts: Parts, value: object) -> None:
    packed = parts.exchange.pack(value)
    assert type(packed) is bytes
    assert np.array_equal(parts.exchange.unpack(ObjectId(1), packed), value)  # type: ignore[arg-type]
    assert parts.connection.asked == 0


def test_the_limit_is_a_frames_size(parts: Parts) -> None:
    overhead = len(cast("bytes", parts.exchange.pack(b"x" * 60_000))) - 60_000
    assert type(parts.exchange.pack(b"x" * (INLINE_LIMIT - overhead))) is bytes
    assert type(parts.exchange.pack(b"x" * (INLINE_LIMIT - overhead + 1))) is Stored


def test_large_values_travel_through_the_arena(parts: Parts) -> None:
    packed = parts.exchange.pack(LARGE)
    assert isinstance(packed, Stored)
    assert np.array_equal(parts.exchange.unpack(ObjectId(1), packed), LARGE)


def test_what_is_written_is_counted(parts: Parts) -> None:
    assert parts.exchange.written == (0, 0.0)
    parts.exchange.pack(3)
    assert parts.exchange.written == (0, 0.0)
    first, second = parts.exchange.pack(LARGE), parts.exchange.pack(LARGE)
    assert isinstance(first, Stored)
    assert isinstance(second, Stored)
    size, seconds = parts.exchange.written
    assert size == first.size + second.size
    assert 0.0 < seconds < 10.0


def test_references_inside_are_named(parts: Parts) -> None:
    payload = Payload(serialization.dumps("x").stream, [], [ObjectId(5)])
    packed = parts.exchange.pack_payload(payload)
    assert packed == Inline(payload.stream, [ObjectId(5)])
    assert parts.exchange.unpack(ObjectId(1), packed) == "x"


def test_a_put_object_is_known_here_at_once(parts: Parts) -> None:
    object_id = parts.exchange.put("value")
    assert parts.connection.posted == [Put(object_id, parts.connection.learned[object_id]), "room"]


def test_failures_raise(parts: Parts) -> None:
    with pytest.raises(TaskTimeout, match="too long"):
        parts.exchange.unpack(ObjectId(1), Failure("timeout", "too long"))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), OSError(28, "No space left on device")])
def test_an_extent_that_was_not_written_goes_back(parts: Parts, error: BaseException) -> None:
    parts.store.error = error
    with pytest.raises(type(error)):
        parts.exchange.put(LARGE)
    assert parts.connection.posted == [GiveBack(4096)]
    assert not parts.connection.learned


def test_what_cannot_be_sent_asks_for_no_extent(parts: Parts) -> None:
    with pytest.raises(NotShippable):
        parts.exchange.put([LARGE, (number for number in range(3))])
    assert parts.connection.asked == 0


class TestSpilled:
    """Objects whose bytes are not where they were."""

    @pytest.fixture
    def back(self, parts: Parts) -> Stored:
        """Where the object is again."""
        packed = parts.exchange.pack(LARGE)
        assert isinstance(packed, Stored)
        return Stored(packed.offset, packed.size, restored=1)

    def test_one_on_disk_is_fetched_and_held_and_kept_meanwhile(self, parts: Parts, back: Stored) -> None:
        parts.connection.fetches = [Fetched(1, ObjectId(1), back)]
        assert np.array_equal(parts.exchange.unpack(ObjectId(1), Spilled(back.size), deadline=5.0), LARGE)
        assert parts.connection.deadlines == [5.0]
        assert parts.store.viewed == [(ObjectId(1), 1)]
        assert parts.connection.held == []
        assert parts.store.kept == set()

    def test_one_that_was_let_go_of_just_before_it_is_read_is_fetched(self, parts: Parts, back: Stored) -> None:
        parts.connection.learned[ObjectId(1)] = Spilled(back.size)
        parts.connection.fetches = [Fetched(1, ObjectId(1), back)]
        parts.store.frames[0] = b"the bytes of another object"
        assert np.array_equal(parts.exchange.unpack(ObjectId(1), Stored(0, back.size)), LARGE)

    def test_one_that_is_where_it_was_is_not_asked_for(self, parts: Parts, back: Stored) -> None:
        parts.connection.learned[ObjectId(1)] = Stored(back.offset, back.size, restored=1)
        assert np.array_equal(parts.exchange.unpack(ObjectId(1), back), LARGE)

    def test_one_without_room_is_asked_for_again_and_then_the_store_is_full(self, parts: Parts, back: Stored) -> None:
        full = Refused(1, Failure("store_full", "no room"))
        parts.connection.fetches = [full, Fetched(2, ObjectId(1), back)]
        assert np.array_equal(parts.exchange.unpack(ObjectId(1), Spilled(back.size)), LARGE)
        parts.connection.fetches = [full, full]
        with pytest.raises(StoreFull, match="no room"):
            parts.exchange.unpack(ObjectId(1), Spilled(back.size))
        assert parts.connection.held == []

    def test_one_that_is_damaged_raises(self, parts: Parts, back: Stored) -> None:
        parts.connection.fetches = [Fetched(1, ObjectId(1), Failure("lost", "damaged"))]
        with pytest.raises(ObjectLost, match="damaged"):
            parts.exchange.unpack(ObjectId(1), Spilled(back.size))


class TestFull:
    def test_what_is_kept_for_speed_goes_first(self, parts: Parts) -> None:
        parts.connection.room = 0

        def make_room() -> bool:
            parts.connection.room = 10_000_000
            return True

        parts.exchange.on_full = make_room
        assert isinstance(parts.exchange.pack(LARGE), Stored)
        assert parts.connection.asked == 2

    def test_arrays_in_cycles_go_next(self, parts: Parts) -> None:
        parts.connection.room = 0

        class Holder:
            """An array that only a garbage collection frees."""

            def __init__(self) -> None:
                self.me = self

            def __del__(self) -> None:
                parts.connection.room = 10_000_000

        gc.disable()
        try:
            Holder()
            assert isinstance(parts.exchange.pack(LARGE), Stored)
        finally:
            gc.enable()

    def test_else_it_is_said(self, parts: Parts) -> None:
        parts.connection.room = 0
        with pytest.raises(StoreFull, match=r"800,\d+ bytes do not fit"):
            parts.exchange.put(LARGE)
        assert parts.connection.asked == 2
        assert parts.connection.posted == []

"""What a worker makes of generators: items in batches, pauses, values of several items."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nbray import serialization
from nbray.engine import streaming
from nbray.engine.object_exchange import ObjectExchange
from nbray.engine.streaming import OutgoingStream, Streaming
from nbray.ids import CellRunId, ObjectId, Reference, TaskId, TemplateId
from nbray.scheduler.messages import DYNAMIC, NO_LIMIT, STREAMING, Consumed, Failure, Inline, Put, Released, Template, Yielded
from nbray.serialization import note_reference
from nbray.store.object_store import ObjectStore
from tests.engine.pretended_scheduler import Ends

TASK = TaskId(77)


def template(num_returns: int = STREAMING, window: int = 0) -> Template:
    return Template(TemplateId(1), b"k", "work", CellRunId("cell"), {}, num_returns, window=window)


def fail(error: BaseException) -> Failure:
    return Failure("exception", str(error))


class Lab:
    """A worker's streaming, and all that its scheduler hears of it."""

    def __init__(self, ends: Ends) -> None:
        self.ends = ends
        self.streaming = Streaming(ends.link, ObjectExchange(ends.link, cast("ObjectStore", SimpleNamespace(reading=set))))

    def resolve(self, result: Any, num_returns: int = STREAMING, window: int = 0) -> Any:
        return self.streaming.resolve(result, TASK, template(num_returns, window), fail)

    def heard(self, count: int) -> list[Any]:
        """The next so many items, unpickled, in order and without a gap."""
        items: list[Any] = []
        while len(items) < count:
            message = self.ends.scheduler.hear()
            assert isinstance(message, Yielded), message
            assert (message.task_id, message.first) == (TASK, len(items))
            items += [serialization.loads(cast("bytes", value)) for _, value in message.items]
        return items


@pytest.fixture
def lab(ends: Ends) -> Lab:
    return Lab(ends)


class Ref(Reference):
    """As an ObjectRef is pickled."""

    def __init__(self, number: int) -> None:
        self.id = ObjectId(number)

    def __reduce__(self) -> Any:
        note_reference(self.id)
        return Ref, (self.id,)


# -------------------------------------------------------------------- items


def test_items_leave_in_order_and_in_few_messages(lab: Lab) -> None:
    assert lab.resolve(iter(range(2000))) is None
    assert lab.heard(2000) == list(range(2000))
    assert lab.ends.scheduler.hears_nothing()


def test_an_item_does_not_wait_for_the_next(lab: Lab) -> None:
    next_one = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        yield 2
        next_one.wait(5)
        yield 3

    with lab.ends.meanwhile(lambda: lab.resolve(slow())) as outcome:
        assert lab.heard(2) == [1, 2]
        next_one.set()
    assert outcome.get() is None


def test_async_generators(lab: Lab) -> None:
    async def items() -> AsyncIterator[int]:
        for number in range(5):
            await asyncio.sleep(0)
            yield number

    assert lab.resolve(items()) is None
    assert lab.heard(5) == list(range(5))


@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_generator_raises_comes_out_behind_its_items(lab: Lab, is_async: bool) -> None:
    closed: list[bool] = []

    def items() -> Iterator[int]:
        try:
            yield 1
            raise LookupError("no more")
        finally:
            closed.append(True)

    def run() -> None:
        if is_async:
            asyncio.run(lab.streaming.resolve_async(items(), TASK, template(), fail))
        else:
            lab.resolve(items())

    with pytest.raises(LookupError):
        run()
    assert lab.heard(1) == [1]
    assert closed == [True]


def test_references_inside_are_held_until_the_item_has_left(lab: Lab) -> None:
    number = lab.ends.link.next_object()
    lab.ends.link.references.create([number])

    def items() -> Iterator[Any]:
        yield [Ref(number)]
        lab.ends.link.release(number)
        lab.ends.link.flush()
        yield 2

    lab.resolve(items())
    said = [lab.ends.scheduler.hear() for _ in range(2)]
    assert isinstance(said[0], Yielded)
    assert cast("Inline", said[0].items[0][1]).nested == [number]
    lab.ends.link.flush()
    while not isinstance(said[-1], Released):
        said.append(lab.ends.scheduler.hear())
    assert said[-1].object_ids == [number]


# -------------------------------------------------------------------- pauses


def paused(lab: Lab, made: list[int], window: int, items: Callable[[int], Any] = lambda number: number) -> Iterator[Any]:
    for number in range(10):
        made.append(number)
        yield items(number)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_generator_waits_for_its_consumer(lab: Lab, is_async: bool) -> None:
    made: list[int] = []

    def run() -> Any:
        if is_async:
            return asyncio.run(lab.streaming.resolve_async(paused(lab, made, 2), TASK, template(window=2), fail))
        return lab.resolve(paused(lab, made, 2), window=2)

    with lab.ends.meanwhile(run) as outcome:
        assert lab.ends.scheduler.hear().first == 0
        time.sleep(0.05)
        assert len(made) == 2
        lab.streaming.heard(Consumed(TASK, 1))
        time.sleep(0.05)
        assert len(made) == 3
        lab.streaming.heard(Consumed(TASK, NO_LIMIT))
    assert outcome.get() is None
    assert len(made) == 10


def test_bytes_count_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.streaming._bytes_ahead = 50_000
    made: list[int] = []
    with lab.ends.meanwhile(lambda: lab.resolve(paused(lab, made, 0, lambda number: b"x" * 20_000))) as outcome:
        time.sleep(0.1)
        assert len(made) == 3
        for count in range(1, 10):
            lab.streaming.heard(Consumed(TASK, count))
            time.sleep(0.01)
    assert outcome.get() is None


def test_the_cpu_is_free_in_a_long_pause_only(lab: Lab) -> None:
    entered: list[str] = []

    class Waiting:
        def __enter__(self) -> None:
            entered.append("in")

        def __exit__(self, *exc_info: object) -> None:
            entered.append("out")

    lab.ends.link.on_wait = Waiting
    with lab.ends.meanwhile(lambda: lab.resolve(iter(range(3)), window=1)):
        time.sleep(0.05)
        lab.streaming.heard(Consumed(TASK, NO_LIMIT))
    assert entered == ["in", "out"]


def test_what_an_earlier_attempt_delivered_is_not_sent_again(lab: Lab) -> None:
    def items() -> Iterator[int]:
        yield 0
        while not lab.ends.scheduler.hears_nothing(0):
            lab.ends.scheduler.hear()
        lab.streaming.heard(Consumed(TASK, 3))
        yield from range(1, 5)

    lab.resolve(items())
    message = lab.ends.scheduler.hear()
    assert (message.first, len(message.items)) in ((3, 1), (3, 2))


def test_consumers_of_others_are_no_concern(lab: Lab) -> None:
    lab.streaming.heard(Consumed(TaskId(123), 5))


def test_counts_after_each_other(ends: Ends) -> None:
    exchange = ObjectExchange(ends.link, cast("ObjectStore", SimpleNamespace(reading=set)))
    stream = OutgoingStream(ends.link, exchange, TASK, template(window=3), 1 << 20)
    for number in range(3):
        stream.add(number)
    assert stream.is_ahead
    stream.consumed(2)
    assert not stream.is_ahead
    stream.consumed(1)
    assert not stream.is_ahead
    stream.add(3)
    stream.add(4)
    assert stream.is_ahead


# -------------------------------------------------------------------- one value, or several


def test_dynamic_makes_objects_of_all(lab: Lab) -> None:
    lab.streaming.bundle = tuple
    numbers = lab.resolve(iter("abc"), DYNAMIC)
    puts = [lab.ends.scheduler.hear() for _ in range(3)]
    assert [put.object_id for put in puts] == list(numbers)
    assert [serialization.loads(put.value) for put in puts] == ["a", "b", "c"]


@pytest.mark.parametrize("is_async", [False, True])
def test_dynamic_with_an_error(lab: Lab, is_async: bool) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    if is_async:
        made = asyncio.run(lab.streaming.resolve_async(items(), TASK, template(DYNAMIC), fail))
    else:
        made = lab.resolve(items(), DYNAMIC)
    good, bad = lab.ends.scheduler.hear(), lab.ends.scheduler.hear()
    assert isinstance(good, Put)
    assert bad == Put(made[1], Failure("exception", "no more"))


@pytest.mark.parametrize("items", [iter([1, 2]), [1, 2]])
def test_a_number_of_items(lab: Lab, items: Any) -> None:
    assert lab.resolve(items, 2) == (1, 2)


@pytest.mark.parametrize(("count", "got"), [(3, "only 2"), (1, "more"), (0, "more")])
def test_another_number_of_items(lab: Lab, count: int, got: str) -> None:
    if count == 0:
        assert lab.resolve(iter([1, 2]), 0) == ()
        return
    with pytest.raises(ValueError, match=f"work has num_returns={count} but yielded {got} values"):
        lab.resolve(iter([1, 2]), count)


@pytest.mark.parametrize("result", [5, "text", {"a": 1}, None])
def test_what_cannot_be_iterated(lab: Lab, result: Any) -> None:
    with pytest.raises(TypeError, match=f"work has num_returns='streaming' but returned {type(result).__name__}"):
        lab.resolve(result)


def test_what_is_resolved() -> None:
    assert streaming.is_stream(5, template(STREAMING))
    assert streaming.is_stream(iter(()), template(2))
    assert not streaming.is_stream((1, 2), template(2))
    assert not streaming.is_stream(iter(()), template(1))

"""The queue that tasks, actors and drivers share."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nbray
from nbray import session
from nbray.errors import UsageError, WrongType
from nbray.util import Empty, Full, Queue
from nbray.util.queue import QueueActor
from tests.contract.conftest import until
from tests.fakes import fresh_session


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with fresh_session():
        nbray.init(num_workers=2)
        nbray.get(nbray.put(bytes(1_000_000)))
        yield


# -------------------------------------------------------------------- the actor's side


def test_items_in_order_and_room() -> None:
    async def run() -> None:
        actor = QueueActor(2)
        assert [await actor.put(n, 0.0) for n in range(3)] == [True, True, False]
        assert not await actor.put(3, 0.01)
        assert (await actor.get(0.0), await actor.size()) == ((0,), 1)
        assert await actor.put_batch([4, 5]) == 1
        assert await actor.put_batch([4]) == -1
        assert await actor.get_batch(3) == (2, [])
        assert await actor.get_batch(2) == (2, [1, 4])
        assert (await actor.get(0.0), await actor.get(0.01)) == ((), ())

    asyncio.run(run())


def test_who_waits_gets_what_comes() -> None:
    async def run() -> None:
        actor = QueueActor(1)
        getting = [asyncio.ensure_future(actor.get(None)) for _ in range(3)]
        await asyncio.sleep(0)
        getting[0].cancel()
        for n in (1, None):
            assert await actor.put(n, None)
        assert await asyncio.gather(*getting[1:]) == [(1,), (None,)]
        assert await actor.size() == 0

    asyncio.run(run())


# -------------------------------------------------------------------- on real processes

local = pytest.mark.local


@local
def test_the_interface_of_a_queue() -> None:
    shared = Queue(maxsize=3)
    for item in (1, None, np.arange(3)):
        shared.put(item)
    assert (len(shared), shared.qsize(), shared.full(), shared.empty()) == (3, 3, True, False)
    with pytest.raises(queue.Full, match="the queue has 3 items, and no room came up"):
        shared.put_nowait(4)
    with pytest.raises(Full):
        shared.put(4, timeout=0.05)
    assert shared.get() == 1
    assert shared.get(timeout=5) is None
    assert shared.get_nowait().sum() == 3
    with pytest.raises(queue.Empty, match="the queue is empty"):
        shared.get_nowait()
    with pytest.raises(Empty):
        shared.get(timeout=0.05)


@local
def test_batches_are_all_or_nothing() -> None:
    shared = Queue(maxsize=3)
    shared.put_nowait_batch([1, 2])
    with pytest.raises(Full, match="2 items do not fit: 2 of at most 3 are in the queue"):
        shared.put_nowait_batch([3, 4])
    with pytest.raises(Empty, match="3 items were asked for, and 2 are in the queue"):
        shared.get_nowait_batch(3)
    assert shared.get_nowait_batch(2) == [1, 2]


@local
def test_tasks_share_it_and_wait_for_each_other() -> None:
    @nbray.remote
    def produce(shared: Queue, count: int) -> None:
        for n in range(count):
            shared.put(n)

    @nbray.remote
    def consume(shared: Queue, count: int) -> list[Any]:
        return [shared.get() for _ in range(count)]

    shared = Queue(maxsize=2)
    consumed = consume.remote(shared, 50)
    nbray.get(produce.remote(shared, 50))
    assert nbray.get(consumed) == list(range(50))


@local
def test_in_event_loops() -> None:
    async def run(shared: Queue) -> None:
        waiting = asyncio.ensure_future(shared.get_async())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await shared.put_async("kept")
        assert await shared.get_async(timeout=5) == "kept", "the wait that was given up has taken nothing"
        with pytest.raises(Empty):
            await shared.get_async(block=False)

    asyncio.run(run(Queue()))


@local
def test_its_actor_may_have_a_name() -> None:
    shared = Queue(actor_options={"name": "shared work"})
    shared.put(5)
    assert nbray.get(nbray.get_actor("shared work").size.remote()) == 1


@local
@pytest.mark.parametrize("force", [True, False])
def test_its_end(force: bool) -> None:
    shared = Queue()
    shared.put(1)
    began = time.monotonic()
    shared.shutdown(force=force)
    shared.shutdown()
    assert time.monotonic() - began < 5
    with pytest.raises(UsageError, match="this Queue was shut down: make a new one"):
        shared.get()
    assert repr(shared) == "Queue(maxsize=0, shut down)"
    assert until(lambda: all(worker.state == "idle" for worker in session.current_backend().snapshot().workers))


@local
@pytest.mark.parametrize(
    ("misuse", "error", "message"),
    [
        (lambda _: Queue(maxsize="2"), WrongType, "maxsize='2'"),  # type: ignore[arg-type]
        (lambda _: Queue(actor_options={"nam": "x"}), UsageError, "nam"),
        (lambda shared: shared.get(timeout=-1), UsageError, "timeout=-1: expected seconds >= 0"),
        (lambda shared: shared.put(1, timeout="x"), UsageError, "timeout='x'"),
        (lambda shared: shared.put_nowait_batch(3), WrongType, r"put_nowait_batch\(3\): expected a list"),
        (lambda shared: shared.get_nowait_batch("x"), WrongType, "num_items='x'"),
        (lambda shared: shared.get_nowait_batch(-1), UsageError, "num_items=-1"),
    ],
)
def test_misuse(misuse: Any, error: type[Exception], message: str) -> None:
    shared = Queue()
    with pytest.raises(error, match=message):
        misuse(shared)

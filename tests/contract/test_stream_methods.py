"""Every backend: methods of actors that yield."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray.backends.backend import Backend
from tests.contract.test_stream_ends import tick
from tests.contract.test_streams import count, echo


class Counter:
    """Counts, and remembers how far."""

    def __init__(self) -> None:
        self.made = 0

    def count(self, n: int, fail_at: int = -1) -> Iterator[int]:
        for number in range(n):
            if number == fail_at:
                raise LookupError(f"no {number}")
            self.made += 1
            yield number

    def total(self) -> int:
        return self.made


class AsyncCounter(Counter):
    async def count_async(self, n: int) -> AsyncIterator[int]:
        for number in range(n):
            await asyncio.sleep(0.001)
            yield number

    async def hello(self) -> str:
        return "hello"


@pytest.fixture(params=["sync", "threads", "async"])
def counter(request: pytest.FixtureRequest, real_backend: Backend) -> Any:
    """An actor of each kind."""
    if request.param == "async":
        return nbray.remote(AsyncCounter).remote()
    return nbray.remote(Counter).options(max_concurrency=3 if request.param == "threads" else 1).remote()


@pytest.mark.local
def test_a_method_that_yields_streams(counter: Any) -> None:
    refs = list(counter.count.remote(100))
    assert nbray.get(refs) == list(range(100))
    assert nbray.get(counter.total.remote()) == 100


@pytest.mark.local
def test_a_method_that_raises_midway(counter: Any) -> None:
    good, bad = list(counter.count.remote(5, 1))
    assert nbray.get(good) == 0
    with pytest.raises(LookupError):
        nbray.get(bad)
    assert nbray.get(counter.total.remote()) == 1


@pytest.mark.local
def test_a_method_with_dynamic_returns(counter: Any) -> None:
    refs = nbray.get(counter.count.options(num_returns="dynamic").remote(3))
    assert nbray.get(list(refs)) == [0, 1, 2]
    assert nbray.get(counter.count.options(num_returns=2).remote(2)) == [0, 1]


@pytest.mark.local
def test_a_method_waits_for_its_consumer(counter: Any) -> None:
    generator = counter.count.options(_generator_backpressure_num_objects=3).remote(50)
    nbray.wait([generator])
    assert nbray.get(list(generator)) == list(range(50))


@pytest.mark.local
def test_streams_of_an_async_actor_run_side_by_side(real_backend: Backend) -> None:
    counter = nbray.remote(AsyncCounter).remote()
    generators = [counter.count_async.remote(20) for _ in range(5)]
    assert nbray.get(counter.hello.remote()) == "hello"
    assert [nbray.get(list(generator)) for generator in generators] == [list(range(20))] * 5


@pytest.mark.local
def test_an_async_actor_takes_items_with_async_for(real_backend: Backend, tmp_path: Path) -> None:
    class Reader:
        async def total(self, n: int) -> int:
            return sum([await ref async for ref in count.remote(n)])

        async def first(self, end: Path) -> Any:
            return next(tick.remote(end, 3, 0.5))

        async def any_one(self) -> Any:
            return next(iter(nbray.as_completed([echo.remote(1)])))

    reader = nbray.remote(Reader).remote()
    assert nbray.get([reader.total.remote(n) for n in range(5)]) == [0, 0, 1, 3, 6]
    with pytest.raises(nbray.UsageError, match=r"next\(generator\) would block the event loop of actor .*`async for ref in"):
        nbray.get(reader.first.remote(tmp_path / "ended"))
    with pytest.raises(nbray.UsageError, match=r"as_completed\(\) would block"):
        nbray.get(reader.any_one.remote())


@pytest.mark.local
@pytest.mark.parametrize("kind", [Counter, AsyncCounter])
def test_cancel_of_a_methods_stream(real_backend: Backend, kind: Any) -> None:
    counter = nbray.remote(kind).remote()
    call = counter.count_async if kind is AsyncCounter else counter.count.options(_generator_backpressure_num_objects=5)
    generator = call.remote(1_000_000)
    next(generator)
    nbray.cancel(generator)
    refs = list(generator)
    with pytest.raises(nbray.TaskCancelledError):
        nbray.get(refs[-1])
    assert nbray.get(counter.total.remote()) >= 0


@pytest.mark.local
def test_the_death_of_an_actor_ends_its_streams(counter: Any) -> None:
    generator = counter.count.options(_generator_backpressure_num_objects=5).remote(1_000_000)
    next(generator)
    nbray.kill(counter)
    refs = list(generator)
    with pytest.raises(nbray.ActorDied):
        nbray.get(refs[-1])

"""Every backend: remote functions that yield, and those who take what they yield."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbray
from nbray.backends.backend import Backend
from nbray.streams import DynamicObjectRefGenerator, ObjectRefGenerator
from tests.contract.conftest import Gate, until
from tests.contract.test_objects import all_but


@nbray.remote
def count(n: int, fail_at: int = -1) -> Iterator[int]:
    for number in range(n):
        if number == fail_at:
            raise LookupError(f"no {number}")
        yield number


@nbray.remote
async def count_async(n: int) -> AsyncIterator[int]:
    for number in range(n):
        await asyncio.sleep(0)
        yield number


@nbray.remote
def echo(value: Any = None) -> Any:
    return value


@nbray.remote
def tick(path: Path, n: int = 1_000_000, pause: float = 0.001) -> Iterator[int]:
    """Yields slowly, and writes down how far it came when it ends."""
    made = 0
    try:
        for made in range(n):
            yield made
            time.sleep(pause)
    finally:
        path.write_text(str(made))


@pytest.fixture
def end(tmp_path: Path) -> Path:
    return tmp_path / "ended"


# -------------------------------------------------------------------- items


def test_items_come_in_order(backend: Backend) -> None:
    refs = list(count.remote(1000))
    assert nbray.get(refs) == list(range(1000))


def test_a_stream_without_items_just_ends(backend: Backend) -> None:
    assert list(count.remote(0)) == []


def test_the_default_is_to_stream(backend: Backend) -> None:
    for function in (count, count.options(num_returns="streaming"), count_async):
        generator = function.remote(3)
        assert isinstance(generator, ObjectRefGenerator)
        assert [nbray.get(ref) for ref in generator] == [0, 1, 2]
        with pytest.raises(StopIteration):
            next(generator)


def test_async_for(backend: Backend) -> None:
    async def main() -> list[int]:
        return [await ref async for ref in count.remote(5)] + [await ref async for ref in count.remote(2)]

    assert asyncio.run(main()) == [0, 1, 2, 3, 4, 0, 1]


def test_many_streams_in_one_loop(backend: Backend) -> None:
    async def take(n: int) -> list[int]:
        return [await ref async for ref in count.remote(n)]

    async def main() -> list[list[int]]:
        return await asyncio.gather(*(take(n) for n in range(6)))

    assert asyncio.run(main()) == [list(range(n)) for n in range(6)]


def test_a_generator_that_raises_gives_its_items_and_then_its_error(backend: Backend) -> None:
    generator = count.remote(5, 2)
    refs = list(generator)
    assert nbray.get(refs[:2]) == [0, 1]
    with pytest.raises(LookupError, match="no 2"):
        nbray.get(refs[2])
    assert len(refs) == 3
    with pytest.raises(StopIteration):
        next(generator)


def test_errors_in_async_for(backend: Backend) -> None:
    async def main() -> list[Any]:
        return [ref async for ref in count.remote(5, 1)]

    good, bad = asyncio.run(main())
    assert nbray.get(good) == 0
    with pytest.raises(LookupError):
        nbray.get(bad)


def test_large_items_and_items_that_hold_refs(backend: Backend) -> None:
    @nbray.remote
    def mixed() -> Iterator[Any]:
        yield np.full(200_000, 7)
        yield {"inside": nbray.put(np.arange(100_000))}
        yield nbray.put("itself")

    assert all_but(backend, 0) == 0
    refs = list(mixed.remote())
    array, holder, inner = nbray.get(refs)
    gc.collect()
    assert array.sum() == 1_400_000
    assert nbray.get(holder["inside"])[-1] == 99_999
    assert nbray.get(inner) == "itself"
    del refs, array, holder, inner
    assert all_but(backend, 0) == 0


def test_items_are_arguments_like_other_refs(backend: Backend) -> None:
    assert nbray.get([echo.remote(ref) for ref in count.remote(3)]) == [0, 1, 2]


def test_items_live_as_long_as_their_refs(backend: Backend) -> None:
    assert all_but(backend, 0) == 0
    generator = count.remote(100)
    kept = next(generator)
    nbray.wait([generator.completed()])
    del generator
    assert all_but(backend, 1) == 0
    assert nbray.get(kept) == 0
    del kept
    assert all_but(backend, 0) == 0


def test_a_stream_inside_a_task(backend: Backend) -> None:
    @nbray.remote
    def total(n: int) -> int:
        return sum(nbray.get(ref) for ref in count.remote(n))

    assert nbray.get(total.remote(50)) == 1225


def test_a_function_that_returns_an_iterator_may_stream_too(backend: Backend) -> None:
    @nbray.remote(num_returns="streaming")
    def pairs() -> Any:
        return zip("ab", [1, 2], strict=True)

    assert [nbray.get(ref) for ref in pairs.remote()] == [("a", 1), ("b", 2)]


# -------------------------------------------------------------------- dynamic, and so many


def test_dynamic_is_one_ref_of_all_refs(backend: Backend) -> None:
    ref = count.options(num_returns="dynamic").remote(4)
    refs = nbray.get(ref)
    assert isinstance(refs, DynamicObjectRefGenerator)
    assert len(refs) == 4
    assert [nbray.get(each) for each in refs] == [0, 1, 2, 3]
    assert nbray.get(echo.remote(refs[2])) == 2


def test_dynamic_with_an_error(backend: Backend) -> None:
    refs = nbray.get(count.options(num_returns="dynamic").remote(4, 2))
    assert nbray.get(list(refs[:2])) == [0, 1]
    with pytest.raises(LookupError):
        nbray.get(refs[2])
    assert len(refs) == 3


def test_dynamic_refs_end_with_their_owner(backend: Backend) -> None:
    assert all_but(backend, 0) == 0
    ref = count.options(num_returns="dynamic").remote(4)
    refs = nbray.get(ref)
    del ref
    gc.collect()
    assert [nbray.get(each) for each in refs] == [0, 1, 2, 3]
    del refs
    assert all_but(backend, 0) == 0


@pytest.mark.parametrize("function", [count, count_async])
def test_a_number_of_returns(backend: Backend, function: Any) -> None:
    assert nbray.get(function.options(num_returns=3).remote(3)) == [0, 1, 2]
    assert function.options(num_returns=0).remote(3) is None


@pytest.mark.local
@pytest.mark.parametrize(("yielded", "got"), [(2, "only 2"), (5, "more")])
def test_another_number_of_items_than_returns(real_backend: Backend, yielded: int, got: str) -> None:
    with pytest.raises(ValueError, match=f"num_returns=3 but yielded {got} values"):
        nbray.get(count.options(num_returns=3).remote(yielded))


# -------------------------------------------------------------------- waiting


def test_wait_takes_generators_among_refs(backend: Backend, gate: Gate) -> None:
    generator, empty, failed, done = count.remote(2), count.remote(0), count.remote(1, 0), nbray.put(1)
    assert nbray.wait([generator, empty, failed, done], num_returns=4, timeout=30) == ([generator, empty, failed, done], [])
    gate.close()
    queued = count.remote(1)
    assert nbray.wait([queued, done], num_returns=2, timeout=0) == ([done], [queued])
    assert not queued.next_ready()
    gate.open()
    assert nbray.wait([queued]) == ([queued], [])
    assert queued.next_ready()
    assert nbray.wait([queued], timeout=0) == ([queued], []), "to look takes nothing away"
    assert nbray.get(next(queued)) == 0


def test_is_finished(backend: Backend) -> None:
    generator = count.remote(1)
    nbray.wait([generator.completed()])
    assert not generator.is_finished()
    next(generator)
    assert generator.is_finished()
    assert not generator.next_ready()


def test_completed_is_there_when_the_task_has_ended(backend: Backend) -> None:
    generator = count.remote(3)
    assert nbray.get(generator.completed()) is None
    assert len(list(generator)) == 3
    failed = count.remote(3, 1)
    with pytest.raises(LookupError):
        nbray.get(failed.completed())


def test_completed_lets_it_run_ahead(backend: Backend) -> None:
    generator = count.options(_generator_backpressure_num_objects=2).remote(50)
    nbray.get(generator.completed(), timeout=30)
    assert len(list(generator)) == 50


# -------------------------------------------------------------------- misuse


def test_get_and_put_of_a_generator(backend: Backend) -> None:
    generator = count.remote(2)
    with pytest.raises(TypeError, match=r"nbray.get\(list\(generator\)\)"):
        nbray.get(generator)
    for send in (nbray.put, echo.remote, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be sent to another process"):
            send(generator)
    with pytest.raises(TypeError, match=r"next\(generator\)"):
        generator[0]
    with pytest.raises(TypeError, match=r"nbray.cancel\(generator\)"):
        generator.send(1)


@pytest.mark.local
def test_what_cannot_be_iterated(real_backend: Backend) -> None:
    ref = next(echo.options(num_returns="streaming").remote(5))
    with pytest.raises(TypeError, match="returned int, which cannot be iterated"):
        nbray.get(ref)


@pytest.mark.local
def test_an_item_that_cannot_be_sent(real_backend: Backend) -> None:
    @nbray.remote
    def strange() -> Iterator[Any]:
        yield 1
        yield (number for number in range(3))

    good, bad = list(strange.remote())
    assert nbray.get(good) == 1
    with pytest.raises(nbray.ResultNotShippable, match="item 1 of"):
        nbray.get(bad)


# -------------------------------------------------------------------- producers and consumers that end


@pytest.mark.local
def test_the_first_item_comes_before_the_last_is_made(real_backend: Backend, end: Path) -> None:
    generator = tick.remote(end, 3, 0.5)
    started = time.monotonic()
    nbray.get(next(generator))
    assert time.monotonic() - started < 0.4
    assert not end.exists()
    assert [nbray.get(ref) for ref in generator] == [1, 2]


@pytest.mark.local
@pytest.mark.parametrize("window", [1, 5])
def test_a_producer_waits_for_its_consumer(real_backend: Backend, tmp_path: Path, window: int) -> None:
    @nbray.remote
    def numbered(folder: Path) -> Iterator[int]:
        for number in range(100):
            (folder / str(number)).touch()
            yield number

    def made() -> int:
        return len(list(tmp_path.iterdir()))

    generator = numbered.options(_generator_backpressure_num_objects=window).remote(tmp_path)
    assert until(lambda: made() == window)
    time.sleep(0.1)
    assert made() == window
    assert nbray.get(next(generator)) == 0
    assert until(lambda: made() > window)
    assert made() <= 2 * window
    assert [nbray.get(ref) for ref in generator] == list(range(1, 100))


@pytest.mark.local
def test_large_items_wait_by_their_bytes(real_backend: Backend) -> None:
    @nbray.remote
    def blocks() -> Iterator[Any]:
        for number in range(200):
            yield np.full(250_000, number)

    generator = blocks.remote()
    nbray.wait([generator])
    time.sleep(0.3)
    assert real_backend.snapshot().store.used < 100_000_000
    assert [nbray.get(ref)[0] for ref in generator] == list(range(200))


@pytest.mark.local
def test_a_producer_that_waits_gives_its_cpu_back(real_backend: Backend) -> None:
    generators = [count.options(_generator_backpressure_num_objects=1).remote(10) for _ in range(3)]
    nbray.wait(generators, num_returns=3)
    assert nbray.get([echo.options(num_cpus=2).remote(1), echo.remote(2)], timeout=30) == [1, 2]
    assert [len(list(generator)) for generator in generators] == [10, 10, 10]


@pytest.mark.local
def test_who_drops_the_generator_ends_the_task(real_backend: Backend, end: Path) -> None:
    assert all_but(real_backend, 0) == 0
    generator = tick.remote(end)
    kept = nbray.get(next(generator))
    del generator
    assert until(end.exists)
    assert kept == 0
    assert all_but(real_backend, 0) == 0


@pytest.mark.local
def test_who_drops_a_queued_generator_never_runs_it(real_backend: Backend, gate: Gate, end: Path) -> None:
    gate.close()
    generator = tick.remote(end)
    del generator
    gc.collect()
    gate.open()
    nbray.get(echo.remote())
    assert not end.exists()


@pytest.mark.local
def test_who_waits_for_the_end_may_drop_the_generator(real_backend: Backend, end: Path) -> None:
    completed = tick.remote(end, 50).completed()
    gc.collect()
    assert nbray.get(completed) is None
    assert end.read_text() == "49"


@pytest.mark.local
def test_cancel_of_a_running_stream(real_backend: Backend, end: Path) -> None:
    generator = tick.remote(end)
    first = next(generator)
    assert nbray.cancel(generator).finished == 0
    refs = [first, *generator]
    items, last = refs[:-1], refs[-1]
    assert nbray.get(items) == list(range(len(items)))
    with pytest.raises(nbray.TaskCancelledError):
        nbray.get(last)
    assert end.exists()


@pytest.mark.local
def test_cancel_of_a_stream_that_waits_for_its_consumer(real_backend: Backend) -> None:
    generator = count.options(_generator_backpressure_num_objects=1).remote(10)
    nbray.wait([generator])
    time.sleep(0.05)
    nbray.cancel(generator)
    with pytest.raises(nbray.TaskCancelledError):
        nbray.get(list(generator))


@pytest.mark.local
def test_cancel_of_an_async_generator(real_backend: Backend, end: Path) -> None:
    @nbray.remote
    async def slow(path: Path) -> AsyncIterator[int]:
        try:
            while True:
                await asyncio.sleep(0.005)
                yield 1
        finally:
            path.touch()

    generator = slow.remote(end)
    next(generator)
    nbray.cancel(generator)
    refs = list(generator)
    with pytest.raises(nbray.TaskCancelledError):
        nbray.get(refs[-1])
    assert end.exists()


@pytest.mark.local
@pytest.mark.parametrize("function", [count, count_async])
def test_a_consumer_that_needs_all_cpus_between_two_items(real_backend: Backend, function: Any) -> None:
    stream = function.options(num_cpus=2, _generator_backpressure_num_objects=2)

    @nbray.remote(num_cpus=2)
    def consume() -> int:
        return sum(nbray.get(echo.options(num_cpus=2).remote(ref)) for ref in stream.remote(20))

    assert nbray.get(consume.remote(), timeout=60) == 190


def test_cancel_of_a_queued_stream(backend: Backend, gate: Gate) -> None:
    gate.close()
    generator = count.remote(3)
    assert nbray.cancel([generator]).cancelled == 1
    with pytest.raises(nbray.TaskCancelledError):
        nbray.get(next(generator))
    with pytest.raises(StopIteration):
        next(generator)


@nbray.remote
def mortal(marks: Path, n: int, dies_at: int) -> Iterator[int]:
    """Its worker dies once, while it makes that item."""
    for number in range(n):
        if number == dies_at and not (marks / "died").exists():
            (marks / "died").touch()
            time.sleep(0.05)  # what was yielded has left the process by then
            os.kill(os.getpid(), signal.SIGKILL)
        yield number


@pytest.mark.local
def test_the_death_of_a_worker_ends_the_stream_there(real_backend: Backend, tmp_path: Path) -> None:
    *items, last = list(mortal.remote(tmp_path, 10, 4))
    assert nbray.get(items) == [0, 1, 2, 3]
    with pytest.raises(nbray.WorkerDied):
        nbray.get(last)


@pytest.mark.local
@pytest.mark.parametrize("window", [-1, 2])
def test_another_attempt_goes_on_where_the_first_one_ended(real_backend: Backend, tmp_path: Path, window: int) -> None:
    again = mortal.options(max_retries=1, _generator_backpressure_num_objects=window)
    assert nbray.get(list(again.remote(tmp_path, 20, 7))) == list(range(20))


@pytest.mark.local
def test_an_exception_that_is_tried_again(real_backend: Backend, tmp_path: Path) -> None:
    @nbray.remote(max_retries=2, retry_exceptions=[OSError])
    def flaky(marks: Path) -> Iterator[int]:
        yield 1
        yield 2
        if len(list(marks.iterdir())) < 2:
            (marks / str(len(list(marks.iterdir())))).touch()
            raise OSError("once more")
        yield 3

    assert nbray.get(list(flaky.remote(tmp_path))) == [1, 2, 3]


# -------------------------------------------------------------------- methods that yield


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
def test_an_async_actor_takes_items_with_async_for(real_backend: Backend) -> None:
    class Reader:
        async def total(self, n: int) -> int:
            return sum([await ref async for ref in count.remote(n)])

        async def first(self) -> Any:
            return next(tick.remote(Path("nowhere"), 3, 0.5))

        async def any_one(self) -> Any:
            return next(iter(nbray.as_completed([echo.remote(1)])))

    reader = nbray.remote(Reader).remote()
    assert nbray.get([reader.total.remote(n) for n in range(5)]) == [0, 0, 1, 3, 6]
    with pytest.raises(nbray.UsageError, match=r"next\(generator\) would block the event loop of actor .*`async for ref in"):
        nbray.get(reader.first.remote())
    with pytest.raises(nbray.UsageError, match=r"as_completed\(\) would block"):
        nbray.get(reader.any_one.remote())


@pytest.mark.local
def test_a_stream_that_takes_too_long(real_backend: Backend, end: Path) -> None:
    *items, last = list(tick.options(timeout=0.3).remote(end))
    assert nbray.get(items) == list(range(len(items)))
    assert items
    with pytest.raises(nbray.TaskTimeout):
        nbray.get(last)


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

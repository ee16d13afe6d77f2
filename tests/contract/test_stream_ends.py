"""Every backend: streams whose producer, consumer or worker ends, or is slower than the other."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbray
from nbray.backends.backend import Backend
from tests.contract.conftest import Gate, until
from tests.contract.test_objects import all_but
from tests.contract.test_streams import count, count_async, echo


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


@pytest.mark.local
def test_the_first_item_comes_before_the_last_is_made(real_backend: Backend, end: Path) -> None:
    generator = tick.remote(end, 3, 0.5)
    nbray.get(next(generator))
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
    real_backend.snapshot()  # an answer: what was said before it has been heard
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


@pytest.mark.local
def test_a_stream_that_takes_too_long(real_backend: Backend, end: Path) -> None:
    *items, last = list(tick.options(timeout=0.3).remote(end))
    assert nbray.get(items) == list(range(len(items)))
    assert items
    with pytest.raises(nbray.TaskTimeout):
        nbray.get(last)


@nbray.remote(max_retries=-1)
def mixed(stream: int, n: int) -> Iterator[Any]:
    for number in range(n):
        yield stream, number, np.full(20_000, number) if number % 10 == 0 else None


@pytest.mark.local
def test_streams_are_whole_whatever_workers_die(real_backend: Backend) -> None:
    assert all_but(real_backend, 0) == 0
    generators = [mixed.options(_generator_backpressure_num_objects=window).remote(window, 60) for window in (1, 5, 40, -1)]
    kills = 0
    for place in range(60):
        for window, generator in zip((1, 5, 40, -1), generators, strict=True):
            stream, number, array = nbray.get(next(generator))
            assert (stream, number) == (window, place)
            assert array is None or array[0] == place
        if place % 20 == 19:
            busy = [worker for worker in real_backend.snapshot().workers if worker.state == "busy"]
            for worker in busy[:1]:
                os.kill(worker.pid, signal.SIGKILL)
                kills += 1
    assert kills >= 1
    assert [list(generator) for generator in generators] == [[]] * 4
    del generator, generators, array
    assert all_but(real_backend, 0) == 0

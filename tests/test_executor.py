"""nbray.Executor on a backend without processes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import operator
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from nbray.errors import NotShippable, UsageError, WrongType
from nbray.executor import Executor
from tests.fakes import FakeBackend, fake_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


@pytest.fixture
def executor() -> Iterator[Executor]:
    with Executor() as executor:
        yield executor


def invert(x: int) -> float:
    return 1 / x


def test_results_and_exceptions(executor: Executor) -> None:
    assert executor.submit(pow, 2, exp=3).result() == 8
    failed = executor.submit(invert, 0)
    assert isinstance(failed.exception(), ZeroDivisionError)
    with pytest.raises(ZeroDivisionError) as error:
        failed.result()
    assert "return 1 / x" in str(error.value.__cause__)


def test_futures_are_those_of_the_standard_library(executor: Executor) -> None:
    futures = [executor.submit(operator.neg, n) for n in range(5)]
    done, rest = concurrent.futures.wait(futures, timeout=10)
    assert (len(done), len(rest)) == (5, 0)
    assert sorted(each.result() for each in concurrent.futures.as_completed(futures)) == [-4, -3, -2, -1, 0]
    assert not any(each.running() or each.cancel() for each in futures)


def test_callbacks_come_on_one_thread(executor: Executor) -> None:
    names: list[str] = []
    futures = [executor.submit(abs, n) for n in range(5)]
    concurrent.futures.wait(futures)
    for each in futures:
        each.add_done_callback(lambda future: names.append(threading.current_thread().name))
    assert len(names) == 5


def test_map(executor: Executor) -> None:
    assert list(executor.map(pow, [2, 3], [3, 2])) == [8, 9]
    assert list(executor.map(abs, range(-7, 0), chunksize=3)) == [7, 6, 5, 4, 3, 2, 1]
    assert list(executor.map(abs, [])) == []


@pytest.mark.parametrize("chunksize", [1, 2])
def test_an_exception_of_a_map_comes_in_its_place(executor: Executor, chunksize: int) -> None:
    results = executor.map(invert, [1, 2, 4, 0, 5], chunksize=chunksize)
    assert [next(results) for _ in range(3)] == [1, 0.5, 0.25]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_map_with_a_buffer_submits_no_further_ahead(executor: Executor, backend: FakeBackend) -> None:
    results = executor.map(abs, iter(range(10)), buffersize=2)
    assert len(backend.submitted) == 2
    assert next(results) == 0
    assert len(backend.submitted) == 3
    assert list(results) == [*range(1, 10)]


def test_a_map_that_takes_too_long(executor: Executor, backend: FakeBackend) -> None:
    backend.frozen = True
    results = executor.map(abs, [1, 2], timeout=0)
    with pytest.raises(TimeoutError):
        next(results)
    assert backend.snapshot().queued == 0, "the rest is cancelled"
    backend.frozen = False


def test_queued_calls_can_be_cancelled(backend: FakeBackend) -> None:
    backend.frozen = True
    executor = Executor()
    first, second = executor.submit(abs, -1), executor.submit(abs, -2)
    assert not first.running()
    assert first.cancel()
    assert first.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        first.result()
    executor.shutdown(wait=False, cancel_futures=True)
    assert concurrent.futures.wait([first, second], timeout=10).not_done == set()
    assert second.cancelled()
    assert backend.snapshot().cell_runs[0].cancelled == 2


def test_no_more_calls_at_once_than_asked_for(backend: FakeBackend) -> None:
    backend.frozen = True
    executor = Executor(max_workers=1)
    futures = [executor.submit(abs, -n) for n in range(4)]
    assert len(backend.submitted) == 1
    assert futures[2].cancel(), "the cluster has not been given it"
    backend.frozen = False
    assert [futures[n].result(10) for n in (0, 1, 3)] == [0, 1, 3]
    executor.shutdown()


def test_a_call_that_cannot_be_sent_fails_at_once_or_in_its_future() -> None:
    lock = threading.Lock()
    with Executor() as executor, pytest.raises(NotShippable):
        executor.submit(id, lock)
    with Executor(max_workers=1) as executor:
        futures = [executor.submit(abs, -1), executor.submit(abs, -1)]
        concurrent.futures.wait(futures)
        with pytest.raises(NotShippable):
            executor.submit(id, lock)
        assert executor.submit(abs, -3).result() == 3


def test_after_shutdown() -> None:
    executor = Executor()
    executor.shutdown()
    executor.shutdown()
    with pytest.raises(RuntimeError, match=r"cannot schedule new futures after shutdown: make a new nbray.Executor\(\)"):
        executor.submit(abs, 1)


_seen: list[str] = []


def note(word: str) -> None:
    _seen.append(word)


def test_the_initializer_runs_once_a_worker() -> None:
    with Executor(initializer=note, initargs=("here",)) as executor:
        assert list(executor.map(abs, [-1, -2, -3])) == [1, 2, 3]
    with Executor(initializer=note, initargs=("again",)) as executor:
        assert list(executor.map(abs, [-1, -2], chunksize=2)) == [1, 2]
    assert _seen == ["here", "again"]


def test_an_initializer_that_fails_breaks_the_executor() -> None:
    executor = Executor(initializer=invert, initargs=(0,))
    future = executor.submit(abs, -1)
    with pytest.raises(concurrent.futures.BrokenExecutor, match="the initializer failed: ZeroDivisionError"):
        future.result()
    with pytest.raises(concurrent.futures.BrokenExecutor):
        executor.submit(abs, -1)
    executor.shutdown()


def test_asyncio(executor: Executor) -> None:
    async def both() -> list[Any]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(executor, abs, n) for n in (-1, -2)))

    assert asyncio.run(both()) == [1, 2]


def test_options_reach_the_calls(backend: FakeBackend) -> None:
    with Executor(num_cpus=2, name="both") as executor:
        executor.submit(abs, 1).result()
    name, options, _ = backend.submitted[0]
    assert (name, options.resources) == ("both", {"CPU": 20_000})


@pytest.mark.parametrize(
    ("misuse", "error", "message"),
    [
        (lambda: Executor(max_workers=0), UsageError, "max_workers=0: expected a whole number >= 1"),
        (lambda: Executor(num_returns=2), UsageError, "num_returns=2: a future has one result"),
        (lambda: Executor(num_cpu=2), UsageError, "did you mean num_cpus="),
        (lambda: Executor(initializer=3), TypeError, "initializer=3: expected a function"),  # type: ignore[arg-type]
        (lambda: Executor().submit("abs", 1), WrongType, r"Executor.submit\('abs', ...\): expected the function first"),  # type: ignore[arg-type]
        (lambda: Executor().map(abs, [1], chunksize=0), UsageError, "chunksize=0"),
        (lambda: Executor().map(abs, [1], timeout=-1), UsageError, "timeout=-1"),
    ],
)
def test_misuse(misuse: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        misuse()

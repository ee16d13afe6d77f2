"""multiprocessing.Pool on the cluster: the methods, one by one, and a run on real processes."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray.errors import UsageError, WrongType
from nbray.ids import ObjectId
from nbray.util.multiprocessing import Pool
from tests.fakes import FakeBackend, fake_session, fresh_session


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


@pytest.fixture
def pool(backend: FakeBackend) -> Iterator[Pool]:
    pool = Pool(2)
    yield pool
    pool.close()
    pool.join()


def invert(x: int) -> float:
    return 1 / x


def test_one_call(pool: Pool) -> None:
    assert pool.apply(pow, (2, 3), {"mod": 5}) == 3
    result = pool.apply_async(invert, (0,))
    with pytest.raises(ZeroDivisionError):
        result.get()
    assert (result.ready(), result.successful()) == (True, False)


def test_many_calls(pool: Pool) -> None:
    assert pool.map(abs, range(-100, 0)) == list(range(100, 0, -1))
    assert pool.map(abs, (n for n in (-1, -2)), chunksize=5) == [1, 2]
    assert pool.map(abs, []) == []
    assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
    assert pool.starmap_async(pow, [(2, 3)]).get() == [8]
    with pytest.raises(ZeroDivisionError):
        pool.map(invert, [1, 0, 2])


def test_iterators(pool: Pool) -> None:
    assert list(pool.imap(abs, range(-10, 0), chunksize=3)) == list(range(10, 0, -1))
    assert sorted(pool.imap_unordered(abs, range(-10, 0), chunksize=3)) == list(range(1, 11))
    endless = pool.imap(abs, itertools.count())
    assert [next(endless) for _ in range(50)] == list(range(50))


def test_an_exception_of_an_iterator_comes_in_its_place(pool: Pool) -> None:
    results = pool.imap(invert, [1, 0, 2], chunksize=2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert next(results) == 0.5
    with pytest.raises(StopIteration):
        results.next()


def test_options_reach_the_calls(backend: FakeBackend) -> None:
    with Pool(ray_remote_args={"num_cpus": 2}, name="both") as pool:
        assert pool.apply(abs, (-1,)) == 1
    name, options, _ = backend.submitted[0]
    assert (name, options.resources["CPU"]) == ("both", 20_000)


def test_callbacks(pool: Pool) -> None:
    heard: list[Any] = []
    pool.map_async(abs, [-1, -2], callback=heard.append).wait(5)
    pool.apply_async(invert, (0,), callback=heard.append, error_callback=heard.append).wait(5)
    assert heard[0] == [1, 2]
    assert isinstance(heard[1], ZeroDivisionError)


@pytest.mark.parametrize("ordered", [True, False])
def test_what_takes_too_long(pool: Pool, backend: FakeBackend, ordered: bool) -> None:
    backend.frozen = True
    result = pool.apply_async(abs, (-1,))
    with pytest.raises(multiprocessing.TimeoutError, match=r"not there after 0.01 s; the call goes on"):
        result.get(0.01)
    with pytest.raises(ValueError, match="has not ended"):
        result.successful()
    results = pool.imap(abs, [-1]) if ordered else pool.imap_unordered(abs, [-1])
    with pytest.raises(multiprocessing.TimeoutError):
        results.next(0.01)
    backend.frozen = False
    backend.wait([ObjectId(0)], 1, 0.1)
    assert (result.get(5), results.next(5)) == (1, 1)


def test_its_end(backend: FakeBackend) -> None:
    pool = Pool()
    with pytest.raises(ValueError, match=r"Pool is still running: call close\(\) before join\(\)"):
        pool.join()
    pool.close()
    pool.join()
    with pytest.raises(ValueError, match="Pool not running"):
        pool.map(abs, [1])
    backend.frozen = True
    with Pool() as pool:
        result = pool.map_async(abs, [-1])
        assert repr(pool) == "<Pool of all processes, open>"
    with pytest.raises(CancelledError):
        result.get(5)
    backend.frozen = False


@pytest.mark.parametrize(
    ("misuse", "error", "message"),
    [
        (lambda: Pool(0), UsageError, "processes=0: expected a whole number >= 1"),
        (lambda: Pool(2, maxtasksperchild=-1), UsageError, "maxtasksperchild=-1"),
        (lambda: Pool().map([1], abs), (WrongType, TypeError), "is no function|not iterable"),  # type: ignore[arg-type]
        (lambda: Pool().map(abs, [1], chunksize=0), UsageError, "chunksize=0"),
    ],
)
def test_misuse(backend: FakeBackend, misuse: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        misuse()


def note(folder: Path) -> None:
    with (folder / str(os.getpid())).open("a") as file:
        file.write("x")


def pid_of_worker(_: int) -> int:
    time.sleep(0.02)
    return os.getpid()


@pytest.mark.local
def test_on_real_processes(tmp_path: Path) -> None:
    with fresh_session():
        nbray.init(num_workers=2)
        with Pool(2, initializer=note, initargs=(tmp_path,)) as pool:
            pids = set(pool.imap_unordered(pid_of_worker, range(8)))
            assert os.getpid() not in pids
            assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {str(pid): "x" for pid in pids}
            assert pool.map(abs, range(-5000, 0)) == list(range(5000, 0, -1))
            running = pool.apply_async(time.sleep, (60,))
        with Pool(2, maxtasksperchild=2) as pool:
            assert len(set(pool.map(pid_of_worker, range(8), chunksize=1))) >= 4
        with pytest.raises(CancelledError):
            running.get(10)
